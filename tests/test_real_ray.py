"""Real Ray, traced by our hook both ways it can be switched on: the path is what the program did."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from raytrace_analyze import critical_path, jobs, read_spans

pytestmark = pytest.mark.ray

HOOK = "raytrace_hook:setup_tracing"
PROGRAM = """
import sys, time
import ray
from opentelemetry import trace

@ray.remote
def extract(part):
    with trace.get_tracer("test").start_as_current_span("parse"):
        time.sleep(1.5 if part == 1 else 0.1)
    return part

@ray.remote
def load(parts):
    time.sleep(0.2)
    return parts

@ray.remote
def combine(first, second):
    time.sleep(0.3)
    return first + second

ray.init(**eval(sys.argv[1]))
parts = [extract.remote(part) for part in range(2)]
assert ray.get(combine.remote(*[load.remote(part) for part in parts])) == 1
"""


def run_program(folder: Path, init: str, **environment: str) -> pl.DataFrame:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program), init],
        env={**os.environ, "RAYTRACE_DIR": str(folder / "spans"), **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return read_spans(folder / "spans")


def check(spans: pl.DataFrame) -> None:
    """The slow `extract`, its `load`, and `combine` are the chain; nothing of it is inferred."""
    path = critical_path(spans)
    runs = path.segments.filter(pl.col("category") == "self", pl.col("function") != "(driver)")
    assert runs["function"].unique(maintain_order=True).to_list()[-3:] == [
        "__main__.extract",
        "__main__.load",
        "__main__.combine",
    ]
    slow = path.segments.filter(name="parse")["duration_ns"].max()
    assert isinstance(slow, int)
    assert slow > 1_400_000_000
    assert not path.segments["inferred"].any()
    assert path.segments["duration_ns"].sum() == path.makespan
    parse = spans.filter(name="parse")
    assert parse["function"].to_list() == ["__main__.extract"] * 2
    assert parse["task_id"].null_count() == 0
    assert jobs(spans)["tasks"].to_list() == [5]


def test_a_program_that_names_the_hook_itself(tmp_path: Path) -> None:
    init = f"dict(address='local', num_cpus=2, include_dashboard=False, _tracing_startup_hook={HOOK!r})"
    check(run_program(tmp_path, init))


OPEN_CLUSTER = {"RAY_AUTH_MODE": "disabled"}
"""From Ray 2.60 on `ray start` asks for a token; these clusters listen to this machine only."""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A cluster started with the hook, in a process of its own; gives its address."""
    log = tmp_path / "ray-start.log"
    port = free_port()
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    # A folder of its own, short for the sockets in it: the default one is where other programs look for a cluster.
    ray_folder = Path(tempfile.mkdtemp(prefix="rt-"))
    options = [f"--temp-dir={ray_folder}", "--num-cpus=2", "--include-dashboard=false", f"--port={port}"]
    with log.open("w") as out:
        head = subprocess.Popen(
            [*start, *options, f"--tracing-startup-hook={HOOK}"],
            env={**os.environ, "RAYTRACE_DIR": str(tmp_path / "spans"), **OPEN_CLUSTER},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            if re.search(r"Ray runtime started", log.read_text()):
                break
            assert head.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(timeout=60)
        shutil.rmtree(ray_folder, ignore_errors=True)


def test_a_cluster_started_with_the_hook_and_a_driver_in_another_process(tmp_path: Path, cluster: str) -> None:
    check(run_program(tmp_path, "dict(address='auto')", RAY_ADDRESS=cluster, **OPEN_CLUSTER))
