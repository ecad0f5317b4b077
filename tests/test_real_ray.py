"""Real Ray, traced by our hook both ways it can be switched on: the path is what the program did."""

import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from raytrace_analyze import critical_path, jobs, read_spans
from tests.real_ray import OPEN_CLUSTER, cluster, run_traced

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
    run_traced(program, folder / "spans", init, **environment)
    return read_spans(folder / "spans")


def check(spans: pl.DataFrame) -> None:
    """The `load` that ended last, the `extract` before it, and `combine` are the chain; nothing of it is inferred."""
    path = critical_path(spans)
    runs = path.segments.filter(pl.col("category") == "self", pl.col("function") != "(driver)")
    assert runs["function"].unique(maintain_order=True).to_list()[-3:] == [
        "__main__.extract",
        "__main__.load",
        "__main__.combine",
    ]
    # On a busy machine the quick one's process may have started that much later.
    last = spans.filter(function="__main__.load", category="task").sort("end")["task_id"][-1]
    (before,) = spans.filter(submitted_task_id=last)["dependency_task_ids"].explode()
    assert path.segments.filter(name="parse")["task_id"].unique().to_list() == [before]
    assert not path.segments["inferred"].any()
    assert path.segments["duration_ns"].sum() == path.makespan_ns
    parse = spans.filter(name="parse")
    assert parse["function"].to_list() == ["__main__.extract"] * 2
    assert parse["task_id"].null_count() == 0
    assert jobs(spans)["tasks"].to_list() == [5]


def test_a_program_that_names_the_hook_itself(tmp_path: Path) -> None:
    init = f"dict(address='local', num_cpus=2, include_dashboard=False, _tracing_startup_hook={HOOK!r})"
    check(run_program(tmp_path, init))


def test_a_cluster_started_with_the_hook_and_a_driver_in_another_process(tmp_path: Path) -> None:
    options = [f"--tracing-startup-hook={HOOK}"]
    with cluster(tmp_path, options, RAYTRACE_DIR=str(tmp_path / "spans")) as address:
        check(run_program(tmp_path, "dict(address='auto')", RAY_ADDRESS=address, **OPEN_CLUSTER))


def record(tmp_path: Path, *options: str, **environment: str) -> pl.DataFrame:
    """Record a program that knows nothing of tracing; its exit code and arguments are its own."""
    program = tmp_path / "plain.py"
    program.write_text(PLAIN)
    done = subprocess.run(
        [sys.executable, "-m", "raytrace_analyze", "record", *options, str(program), "3", "--top", "1"],
        env={**os.environ, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=480,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "['3', '--top', '1'] 3" in done.stdout
    assert re.search(r"work (runs|is idle in time\.sleep at plain\.py:7)", done.stdout), done.stdout
    return read_spans(tmp_path / "raytrace-record" / "spans.parquet")


PLAIN = """
import sys, time
import ray

@ray.remote
def work(number):
    time.sleep(0.3 * number)
    return number

if __name__ == "__main__":
    print(sys.argv[1:], sum(ray.get([work.remote(number) for number in range(int(sys.argv[1]))])))
    sys.exit(7)
"""


def check_recorded(spans: pl.DataFrame) -> None:
    path = critical_path(spans)
    assert jobs(spans)["tasks"].to_list() == [3]
    assert not path.segments["inferred"].any()
    longest = path.segments.filter(category="self").sort("duration_ns")["function"][-1]
    assert longest == "__main__.work"


def test_record_of_a_module(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    program = "import sys\nprint(__name__, __package__, sys.argv[1:])\nsys.exit(5)\n"
    (tmp_path / "pack" / "__main__.py").write_text(program)
    command = [sys.executable, "-m", "raytrace_analyze", "record", "-m", "pack", "3", "-m", "4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stdout) == (5, "__main__ pack ['3', '-m', '4']\n"), done.stderr


def test_record_on_a_cluster_of_its_own(tmp_path: Path) -> None:
    check_recorded(record(tmp_path))


@pytest.mark.skipif(
    " " in sys.executable, reason="Ray starts the workers of a runtime_env through a shell, with Python's path unquoted"
)
def test_record_on_a_cluster_that_was_started_without_tracing(tmp_path: Path) -> None:
    with cluster(tmp_path, []) as address:
        check_recorded(record(tmp_path, "--address", address, **OPEN_CLUSTER))
