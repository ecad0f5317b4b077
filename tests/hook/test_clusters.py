"""Clusters that were started by themselves: with the hook for all, and without, for one job alone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .reader import PROGRAMS, Recording, environment, free_port, run_program

pytestmark = pytest.mark.ray

needs_runtime_env = pytest.mark.skipif(
    " " in sys.executable, reason="Ray starts the workers of a runtime_env through a shell, with Python's path unquoted"
)
RAY = str(Path(sys.executable).parent / "ray")


@contextmanager
def cluster(directory: Path, *options: str) -> Iterator[str]:
    """Start a cluster of its own, yield its address, and end what was started, nothing else."""
    env = environment(directory)
    # A directory of its own (with a short name, for sockets): other clusters of this machine stay undisturbed.
    temporary = tempfile.mkdtemp(prefix="rt-")
    command = [RAY, "start", "--head", "--block", "--port=0", "--num-cpus=2", "--include-dashboard=false"]
    head = subprocess.Popen(
        [*command, f"--temp-dir={temporary}", *options],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert head.stdout is not None
        yield next(found[1] for line in head.stdout if (found := re.search(r"--address='([^']+)'", line)))
    finally:
        # Not SIGTERM: a node drains for half a minute then. All processes of the cluster are in this group.
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        shutil.rmtree(temporary, ignore_errors=True)


@pytest.mark.slow  # a driver of such a cluster is in tests/test_real_ray.py
def test_ray_start_with_the_hook_traces_every_driver(tmp_path: Path) -> None:
    with cluster(tmp_path, "--tracing-startup-hook", "raytrace_hook:setup_tracing") as address:
        runs = [run_program("joining.py", tmp_path, address, "plain") for _ in range(2)]
    assert [run.output for run in runs] == ["done\n"] * 2, runs[-1].errors
    recording = runs[-1].recording
    drivers = recording.named("ray.driver")
    assert len({driver.resource["raytrace.session"] for driver in drivers}) == 1
    assert len({driver.resource["ray.job_id"] for driver in drivers}) == 2
    for driver in drivers:
        job = [span for span in recording.runs("__main__.work") if span.trace_id == driver.trace_id]
        assert {span.attributes["ray.job_id"] for span in job} == {driver.resource["ray.job_id"]}
        assert {span.resource["ray.job_id"] for span in job} == {driver.resource["ray.job_id"]}
        assert len(job) == 6
    foos = recording.named("foo")
    assert len(foos) == 12
    assert {recording.by_id[foo.parent_id or ""].name for foo in foos} == {"__main__.work ray.remote_worker"}
    for header, attempts in recording.events:
        assert {attempt["job_id"] for attempt in attempts} == {header["job_id"]}


@needs_runtime_env
def test_one_job_is_traced_on_a_cluster_without_tracing(tmp_path: Path) -> None:
    plain_directory, job_directory, merged_directory = (tmp_path / name for name in ("plain", "job", "merged"))
    for directory in (plain_directory, job_directory, merged_directory):
        directory.mkdir(0o700)
    with cluster(plain_directory) as address:
        job = run_program("joining.py", job_directory, address, "job")
        merged = run_program("joining.py", merged_directory, address, "merged")
        plain = run_program("joining.py", plain_directory, address, "plain")
    assert [run.output for run in (job, merged, plain)] == ["done\n"] * 3, (job.errors, merged.errors, plain.errors)
    assert list(plain_directory.iterdir()) == []
    for run in (job, merged):
        recording = run.recording
        assert len(recording.runs("__main__.work")) == len(recording.submits("__main__.work")) == 6
        assert len(recording.runs("Adder.numbers")) == 1
        assert {span.trace_id for span in recording.spans} == {recording.driver().trace_id}


@pytest.mark.slow
@needs_runtime_env
def test_a_node_without_opentelemetry_is_named_and_the_job_runs_on(tmp_path: Path) -> None:
    package, spans = tmp_path / "path" / "opentelemetry", tmp_path / "spans"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('raise ImportError("none here")')
    run = run_program("untraced.py", spans, str(package.parent))
    assert run.output.endswith("done\n"), run.errors
    assert "nothing is recorded on node" in run.output + run.errors
    recording = run.recording
    assert len(recording.submits("__main__.work")) == 3
    assert [span for span in recording.spans if span.kind == "CONSUMER"] == []


@needs_runtime_env
def test_a_submitted_job_is_traced_by_the_clusters_hook(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp_cors", reason="ray[default] is not installed: no job submission")
    port = free_port()
    options = ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    # The agent's usual port is that of another cluster's where there is one.
    options += [f"--dashboard-agent-listen-port={free_port()}"]
    with cluster(tmp_path, *options, "--tracing-startup-hook", "raytrace_hook:setup_tracing"):
        command = [RAY, "job", "submit", f"--address=http://127.0.0.1:{port}", "--", sys.executable]
        for _ in range(30):
            submitted = subprocess.run(
                [*command, str(PROGRAMS / "joining.py"), "auto", "plain"],
                env=environment(tmp_path),
                capture_output=True,
                text=True,
                timeout=480,
                check=False,
            )
            # The agent that starts jobs comes up a while after the cluster.
            if "No available agent" not in submitted.stdout + submitted.stderr:
                break
            time.sleep(1)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    recording = Recording(tmp_path)
    # Ray starts the program from an actor in a job of its own, whose driver is Ray's dashboard.
    (driver,) = (one for one in recording.named("ray.driver") if "joining.py" in one.attributes["raytrace.entrypoint"])
    job = [span for span in recording.runs("__main__.work") if span.trace_id == driver.trace_id]
    assert len(job) == 6
    assert {span.attributes["ray.job_id"] for span in job} == {driver.resource["ray.job_id"]}
