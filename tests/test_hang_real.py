"""Real Ray programs that really hang, killed from outside: `hang` names who waits for whom."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from tests.hook.reader import PATIENCE

pytestmark = pytest.mark.ray

BEGINNING = """
import os, threading, time
import ray
ray.init(address="local", num_cpus=2, include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
"""
CIRCLE = """
@ray.remote(num_cpus=0)
class A:
    def know(self, other):
        self.other = other
    def ask(self):
        return ray.get(self.other.answer.remote())
    def answer(self):
        return 1

@ray.remote(num_cpus=0, _generator_backpressure_num_objects=1)
def produce():
    yield 1
    yield 2

items = produce.remote()
next(items)
first, second = A.remote(), A.remote()
ray.get([first.know.remote(second), second.know.remote(first)])
ray.get([first.ask.remote(), second.ask.remote()])
"""
SLOTS = """
@ray.remote(num_cpus=1)
def child():
    return 1

@ray.remote(num_cpus=1)
class Parent:
    def ask(self):
        return ray.get(child.remote())

parents = [Parent.remote() for _ in range(2)]
ray.get([parent.ask.remote() for parent in parents])
"""
DEMAND = """
@ray.remote(num_cpus=64)
def huge():
    return 1

ray.get(huge.remote())
"""
EVERYBODY = """
@ray.remote(num_cpus=0)
class Gate:
    def pass_through(self):
        threading.Event().wait()

@ray.remote(num_cpus=0)
def visit(gate):
    return ray.get(gate.pass_through.remote())

gate = Gate.remote()
ray.get([visit.remote(gate) for _ in range(3)])
"""
DIES = """
@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Phoenix:
    def work(self):
        time.sleep(0.1)
        os._exit(1)

ray.get(Phoenix.remote().work.remote())
"""


def hang_for_real(folder: Path, program: str, is_hung: Callable[[rt.Hang], bool]) -> str:
    """Run a program until it hangs, kill it; gives what `hang` says of it."""
    script, spans = folder / "program.py", folder / "spans"
    script.write_text(BEGINNING + program)
    with (folder / "output.txt").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, "RAYTRACE_DIR": str(spans), **PATIENCE},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 240
        while not _looks_hung(spans, is_hung):
            assert running.poll() is None, (folder / "output.txt").read_text()
            assert time.monotonic() < until, "it did not come to hang in time"
            time.sleep(2)
    finally:
        # What Ray has started in that session ends with the driver.
        with contextlib.suppress(ProcessLookupError):  # it ended by itself, which is told
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    done = CliRunner().invoke(app, ["hang", str(spans)])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def _looks_hung(spans: Path, is_hung: Callable[[rt.Hang], bool]) -> bool:
    try:
        return is_hung(rt.hang(rt.read_spans(spans)))
    except rt.RaytraceError:
        return False  # nothing is there yet


def test_two_actors_that_wait_for_each_other(tmp_path: Path) -> None:
    said = hang_for_real(tmp_path, CIRCLE, lambda found: found.is_hung)
    assert re.search(r"`produce` \(\w+\) is held back until the driver of job \w+ takes its next item", said)
    assert "they wait for each other" in said
    assert "`A.answer`" in said
    assert "its actor runs `A.ask`" in said
    story = rt.tell_story(rt.read_spans(tmp_path / "spans"), "A.answer")
    (step,) = story.steps.filter(step="queue").to_dicts()
    assert "for its actor, which runs `A.ask`" in step["sentence"]
    summary = rt.summary(rt.read_spans(tmp_path / "spans"))
    assert summary.ended.outcome == "unfinished"


@pytest.mark.slow
def test_all_slots_held_by_actors_that_wait_for_tasks_without_one(tmp_path: Path) -> None:
    said = hang_for_real(tmp_path, SLOTS, lambda found: found.is_hung)
    assert "`child`" in said
    assert "has no free slot: `Parent.ask`" in said


@pytest.mark.slow
def test_a_demand_that_no_node_can_meet(tmp_path: Path) -> None:
    said = hang_for_real(tmp_path, DEMAND, lambda found: any(each.demand for each in found.blockers))
    assert "`huge`" in said
    assert "no node of the cluster has what it asks for" in said


@pytest.mark.slow
def test_everybody_waits_for_one_actor(tmp_path: Path) -> None:
    said = hang_for_real(tmp_path, EVERYBODY, lambda found: any(each.waiters >= 5 for each in found.blockers))
    assert "`Gate.pass_through`" in said


@pytest.mark.slow
def test_the_driver_waits_for_an_actor_that_is_killed_again_and_again(tmp_path: Path) -> None:
    said = hang_for_real(tmp_path, DIES, lambda found: found.waits.height > 0)
    assert "the driver of job" in said
    assert "Phoenix" in said
