"""Pipelines of Ray Data, each with one bottleneck that is built in: `piping.py FOLDER`; prints what is true as JSON."""

import json
import sys
import time
from pathlib import Path

import ray
from ray.data import DataContext, Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

PAUSE_S = 0.15
BLOCKS = 8
ROWS = 80


def slow(batch):
    time.sleep(PAUSE_S)
    batch["x"] = batch["id"] * 2
    return batch


def quick(batch):
    batch["x"] = batch["id"] * 2
    return batch


class Model:
    def __call__(self, batch):
        time.sleep(PAUSE_S)
        return batch


class SlowSource(Datasource):
    def estimate_inmemory_data_size(self):
        return None

    def get_read_tasks(self, parallelism, *_, **__):
        import pandas as pd

        def read():
            time.sleep(PAUSE_S)
            yield pd.DataFrame({"id": range(10)})

        about = BlockMetadata(num_rows=10, size_bytes=80, input_files=None, exec_stats=None)
        return [ReadTask(read, about) for _ in range(BLOCKS)]


def slow_group(group):
    import pandas as pd

    key = int(group["k"].iloc[0])
    time.sleep(8 * PAUSE_S if key == 3 else 0.01)
    return pd.DataFrame({"k": [key], "n": [len(group)]})


def consume(dataset, pause_s):
    count = 0
    for batch in dataset.iter_batches(batch_size=10, prefetch_batches=1):
        count += len(batch["id"])
        time.sleep(pause_s)
    return count


def source(name):
    dataset = ray.data.range(ROWS, override_num_blocks=BLOCKS)
    dataset.set_name(name)
    return dataset


def with_key(batch):
    batch["k"] = batch["id"] % 4
    return batch


def main(folder):
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", _tracing_startup_hook=HOOK)
    DataContext.get_current().enable_progress_bars = False

    @ray.remote
    def warm_up():
        time.sleep(0.3)

    ray.get([warm_up.remote() for _ in range(4)])
    # Longer than the worker processes need to load the code of Ray Data, each of them.
    source("warm_up").map_batches(slow, batch_size=10).materialize()
    truth = {}

    def note(name, began, **more):
        truth[name] = {"began_ns": began, "ended_ns": time.time_ns(), **more}

    began = time.time_ns()
    done = source("slow_map").map_batches(slow, batch_size=10).materialize()
    note("slow_map", began, rows=done.count(), stats=done.stats())
    began = time.time_ns()
    read = ray.data.read_datasource(SlowSource(), override_num_blocks=BLOCKS)
    read.set_name("slow_read")
    done = read.map_batches(quick, batch_size=10).materialize()
    note("slow_read", began, rows=done.count())
    began = time.time_ns()
    done = source("pool").map_batches(quick, batch_size=10).map_batches(Model, batch_size=10, concurrency=1)
    done = done.materialize()
    note("pool", began, rows=done.count())
    began = time.time_ns()
    rows = consume(source("consumer").map_batches(quick, batch_size=10), 3 * PAUSE_S)
    note("consumer", began, rows=rows)
    began = time.time_ns()
    grouped = source("skew").map_batches(with_key).groupby("k").map_groups(slow_group, batch_format="pandas")
    done = grouped.materialize()
    note("skew", began, rows=done.count(), groups=sorted(done.to_pandas()["n"].tolist()))
    began = time.time_ns()
    source("write").map_batches(quick, batch_size=10).write_json(str(Path(folder) / "out"))
    note("write", began)
    session = ray._private.worker.global_worker.node.get_session_dir_path()
    print(json.dumps({"parts": truth, "session": session}))
    ray.shutdown()
    print("\ndone")


HOOK = (sys.argv[2:] or [None])[0]
if __name__ == "__main__":
    main(sys.argv[1])
