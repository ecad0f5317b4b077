"""A small program with each of Ray's libraries: `each_library.py FOLDER PORT HOOK LIBRARY...`; prints what they gave.

It runs on Ray from 2.9 on. What it prints is the same whether the hook is there or not.
"""

import json
import sys
import time
import urllib.request
from pathlib import Path

import ray

PAUSE_S = 0.05


def with_data(folder, port):
    """A pipeline of two operators, and a grouping."""
    import ray.data

    def slow(batch):
        time.sleep(PAUSE_S)
        return {"id": batch["id"], "square": batch["id"] ** 2}

    data = ray.data.range(40, **blocks(4)).map_batches(slow, batch_size=None)
    squares = sorted(row["square"] for row in data.take_all())
    batches = sum(len(batch["id"]) for batch in data.iter_batches(batch_size=10))
    grouped = data.map(lambda row: {"k": row["id"] % 3, "v": row["id"]}).groupby("k").sum("v")
    sums = sorted((int(row["k"]), int(row["sum(v)"])) for row in grouped.take_all())
    return {"squares": int(sum(squares)), "batches": batches, "sums": sums}


def blocks(count):
    """How many blocks a dataset is to have, in the words of this version of Ray."""
    import inspect

    known = inspect.signature(ray.data.range).parameters
    return {"override_num_blocks" if "override_num_blocks" in known else "parallelism": count}


def with_serve(folder, port):
    """Two deployments over HTTP, with a batch and a model."""
    from ray import serve
    from ray.serve._private import api

    api.HTTP_PROXY_TIMEOUT = 300  # a busy machine takes longer than a minute to start processes

    @serve.deployment(ray_actor_options={"num_cpus": 0})
    class Doubler:
        def double(self, x):
            time.sleep(PAUSE_S)
            return 2 * x

    @serve.deployment(ray_actor_options={"num_cpus": 0})
    class Front:
        def __init__(self, doubler):
            self.doubler = doubler

        @serve.batch(max_batch_size=4, batch_wait_timeout_s=PAUSE_S)
        async def together(self, numbers):
            return [number + 1 for number in numbers]

        @serve.multiplexed(max_num_models_per_replica=1)
        async def load(self, name):
            time.sleep(PAUSE_S)
            return name

        async def __call__(self, request):
            x = await self.doubler.double.remote(int(request.query_params["x"]))
            model = await self.load(serve.get_multiplexed_model_id())
            return {"x": await self.together(x), "model": model}

    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(Front.bind(Doubler.bind()))
    answers = []
    for x in range(6):
        headers = {"serve_multiplexed_model_id": f"m{x % 2}"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/?x={x}", headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            answers.append(json.loads(answer.read()))
    serve.shutdown()
    return {"answers": answers}


def with_train(folder, port):
    """Two ranks, of which the second is late, and a checkpoint."""
    import tempfile

    from ray import train
    from ray.train import Checkpoint, RunConfig, ScalingConfig

    try:
        from ray.train.v2._internal.constants import is_v2_enabled
        from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

        is_first = not is_v2_enabled()
    except ImportError:
        is_first = True
    if is_first:
        from ray.train.data_parallel_trainer import DataParallelTrainer

    def loop(config):
        rank = train.get_context().get_world_rank()
        for step in range(3):
            time.sleep(PAUSE_S * (1 + 3 * rank))
            with tempfile.TemporaryDirectory() as stored:
                (Path(stored) / "weights").write_text("w" * 100)
                checkpoint = Checkpoint.from_directory(stored) if step == 1 and rank == 0 else None
                train.report({"loss": 10 - step}, checkpoint=checkpoint)

    own = {"trainer_resources": {"CPU": 0}} if is_first else {}
    trainer = DataParallelTrainer(
        loop,
        scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 0.5}, **own),
        run_config=RunConfig(name="each", storage_path=f"{folder}/train"),
    )
    result = trainer.fit()
    return {"loss": result.metrics["loss"] if result.metrics else None, "stored": result.checkpoint is not None}


def with_tune(folder, port):
    """Trials of a function, on a grid."""
    report = library_of_tune().report

    def objective(config):
        for step in range(3):
            time.sleep(PAUSE_S)
            report({"loss": (config["x"] - 2) ** 2 + 1 / (1 + step)})

    return tuned(objective, folder)


def with_tunes_classes(folder, port):
    """Trials of a class, on a grid."""
    from ray import tune

    class Model(tune.Trainable):
        def setup(self, config):
            self.x, self.step_number = config["x"], 0

        def step(self):
            self.step_number += 1
            return {"loss": abs(self.x - 1) + 1 / self.step_number, "done": self.step_number == 2}

        def save_checkpoint(self, folder):
            return {"step": self.step_number}

        def load_checkpoint(self, state):
            self.step_number = state["step"]

    return tuned(Model, folder)


def tuned(trainable, folder):
    """The best trial, and of each one its parameter, loss and number of results."""
    from ray import tune

    results = tune.Tuner(
        trainable,
        param_space={"x": tune.grid_search([0, 1, 2])},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=library_of_tune().RunConfig(name=trainable.__name__, storage_path=f"{folder}/tune", verbose=0),
    ).fit()
    every = sorted((one.config["x"], one.metrics["loss"], one.metrics["training_iteration"]) for one in results)
    return {"best": results.get_best_result().config["x"], "every": every}


def library_of_tune():
    """The module that trials report with: Tune used what Train has before it had its own."""
    from ray import train, tune

    return tune if hasattr(tune, "RunConfig") else train


WITH = {
    "data": with_data,
    "train": with_train,
    "tune": with_tune,
    "classes": with_tunes_classes,
    "serve": with_serve,
}


def main(folder, port, hook, *libraries):
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", _tracing_startup_hook=hook or None
    )
    found = {name: WITH[name](folder, port) for name in libraries or WITH}
    found["session"] = ray._private.worker.global_worker.node.get_session_dir_path()
    print("\n" + json.dumps(found))
    ray.shutdown()
    print("\ndone")


if __name__ == "__main__":
    main(*sys.argv[1:])
