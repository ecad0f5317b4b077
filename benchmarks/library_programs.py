"""What tracing costs whole programs with Ray's libraries: Data, Serve, Train, Tune, and a loop of actors.

    python -m benchmarks.library_programs                    # each five times with each hook: some 20 minutes
    python -m benchmarks.library_programs serve --rounds 3   # one of them

All are made to show the cost: blocks, requests, reports and results that take next to nothing of their own. Serve
records every request, as `raytrace-analyze record` lets it, where it would record one of a hundred by itself.
Medians of runs in turn, and their ratios to no tracing (`benchmarks.whole_programs`).
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

from benchmarks.whole_programs import HOOK, HOOKS, costs, show


class Program(NamedTuple):
    """A program: what it does so often, how often, and its source."""

    unit: str
    count: int
    source: str


DATA = """
start(num_cpus=2)
context = ray.data.DataContext.get_current()
context.enable_progress_bars = False

def double(batch):
    batch["x"] = batch["id"] * 2
    return batch

def pipeline(blocks):
    dataset = ray.data.range(100 * blocks, override_num_blocks=blocks)
    # Two operators: what runs on other CPUs is not fused with what comes before.
    dataset = dataset.map_batches(double).map_batches(double, num_cpus=0.5)
    assert sum(len(batch["x"]) for batch in dataset.iter_batches(batch_size=100)) == 100 * blocks

pipeline(50)
measured(lambda: pipeline(count))
"""

SERVE = """
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from ray import serve

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
start(num_cpus=4)

@serve.deployment
class Model:
    async def __call__(self, number):
        return number

@serve.deployment
class Front:
    def __init__(self, model):
        self.model = model
    async def __call__(self, request):
        return str(await self.model.remote(int(request.query_params["n"])))

serve.start(http_options={"port": port})
serve.run(Front.bind(Model.bind()), name="app", route_prefix="/app")

def ask(number):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/app?n={number}", timeout=60) as answer:
        assert answer.read() == str(number).encode()

def requests(how_many):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(how_many)))

requests(200)
measured(lambda: requests(count))
serve.shutdown()
"""

TRAIN = """
import tempfile
os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.05"
from ray import train
from ray.train import RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
start(num_cpus=2)

def loop(config):
    for step in range(config["steps"]):
        train.report({"step": step})

def fit(steps):
    with tempfile.TemporaryDirectory() as storage:
        DataParallelTrainer(
            loop,
            train_loop_config={"steps": steps},
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(name="t", storage_path=storage),
        ).fit()

fit(10)
measured(lambda: fit(count))
"""

TUNE = """
import tempfile
from ray import tune
start(num_cpus=2)

def train(config):
    for step in range(20):
        tune.report({"loss": config["x"] - step})

def fit(trials):
    with tempfile.TemporaryDirectory() as storage:
        tune.Tuner(
            train,
            param_space={"x": tune.grid_search(list(range(trials)))},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(verbose=0, storage_path=storage),
        ).fit()

fit(2)
measured(lambda: fit(count // 20))
"""

LOOP = """
start(num_cpus=3)

@ray.remote
class Rollout:
    def sample(self, weights):
        return [0.0] * 100

@ray.remote
class Learner:
    def update(self, *samples):
        return {"w": [0.0] * 100}

rollouts, learner = [Rollout.remote() for _ in range(2)], Learner.remote()

def train(iterations):
    weights = {}
    for _ in range(iterations):
        samples = ray.get([rollout.sample.remote(weights) for rollout in rollouts])
        weights = ray.get(learner.update.remote(*samples))

train(100)
measured(lambda: train(count))
"""

PROGRAMS = {
    "data": Program("a block of two operators", 200, DATA),
    "serve": Program("a request of two deployments", 1_000, SERVE),
    "train": Program("a report of two ranks", 100, TRAIN),
    "tune": Program("a trial's result", 200, TUNE),
    "loop": Program("an iteration of three calls", 1_000, LOOP),
}
EVERY_REQUEST = {"RAY_SERVE_TRACING_SAMPLING_RATIO": "1"}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("libraries", nargs="*", default=list(PROGRAMS), metavar="LIBRARY", help=", ".join(PROGRAMS))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if unknown := set(arguments.libraries) - set(PROGRAMS):
        parser.error(f"no such library: {', '.join(sorted(unknown))}")
    for library in arguments.libraries:
        program = PROGRAMS[library]
        source = f"count = {program.count}\n" + program.source
        found = costs(source, HOOKS, arguments.rounds, settings={HOOK: EVERY_REQUEST})
        show(f"{library}, median of {arguments.rounds}", program.unit, program.count, found)


if __name__ == "__main__":
    main()
