"""Predictions, and what real Ray then takes: three programs, run again with a faster function or other slots."""

import statistics
from pathlib import Path

import polars as pl
import pytest

from raytrace_analyze import read_spans
from raytrace_analyze.replay.change import Change
from raytrace_analyze.replay.job import read_job
from raytrace_analyze.replay.passes.forward import replay
from tests.real_ray import run_traced

pytestmark = [pytest.mark.ray, pytest.mark.slow]

BEGINNING = """
import os, sys, time
import ray

cpus, seconds = int(sys.argv[1]), float(sys.argv[2])
ray.init(address="local", num_cpus=cpus, include_dashboard=False,
         _tracing_startup_hook="raytrace_hook:setup_tracing")

@ray.remote
def warm():
    time.sleep(1.0)

from opentelemetry import trace
ray.get([warm.remote() for _ in range(2 * cpus)])
"""
"""Every worker process is there, and has loaded what it needs, before the part that is looked at."""

FAN_OUT = """
@ray.remote
def load(part):
    time.sleep(seconds * (2 if part == 0 else 1))
    return part

@ray.remote
def merge(*parts):
    time.sleep(0.5)

with trace.get_tracer("test").start_as_current_span("measured"):
    ray.get(merge.remote(*[load.remote(part) for part in range(12)]))
"""

CHAINS = """
@ray.remote
def load(part):
    time.sleep(seconds)
    return part

@ray.remote
def clean(part):
    time.sleep(0.3)
    return part

@ray.remote
class Store:
    def write(self, part):
        time.sleep(0.2)

store = Store.remote()
ray.get(store.write.remote(0))
with trace.get_tracer("test").start_as_current_span("measured"):
    ray.get([store.write.remote(clean.remote(load.remote(part))) for part in range(8)])
"""

NESTED = """
@ray.remote
def leaf(number):
    time.sleep(seconds)
    return number

@ray.remote
class Branch:
    def ready(self):
        pass

    def run(self, number):
        time.sleep(0.3)
        found = sum(ray.get([leaf.remote(each) for each in range(4)]))
        time.sleep(0.2)
        return found

branches = [Branch.remote() for _ in range(3)]
ray.get([branch.ready.remote() for branch in branches])
with trace.get_tracer("test").start_as_current_span("measured"):
    for round in range(2):
        ray.get([branch.run.remote(number) for number, branch in enumerate(branches)])
        time.sleep(0.2)
"""

PROGRAMS = {"fan out": (FAN_OUT, "load"), "chains": (CHAINS, "load"), "nested": (NESTED, "leaf")}
SECONDS, SLOTS, FEWER = 0.8, 4, 2
TIMES = 3
WITHIN = 0.10


def run(folder: Path, program: str, slots: int, seconds: float) -> list[pl.DataFrame]:
    """Run a program some times; the spans of each time."""
    path = folder / "program.py"
    path.write_text(BEGINNING + program)
    found = []
    for time in range(TIMES):
        spans = folder / f"{slots}-{seconds}-{time}"
        run_traced(path, spans, str(slots), str(seconds))
        found.append(read_spans(spans))
    return found


def measured_ns(spans: pl.DataFrame) -> int:
    """How long the part took that is looked at."""
    span = spans.filter(name="measured")
    return int((span["end"] - span["start"]).dt.total_nanoseconds()[0])


def predicted_ns(spans: pl.DataFrame, change: Change) -> int:
    """How long that part would take after a change."""
    graph = read_job(spans).graph
    row = int(graph.events.scoped.structure.spans.get_column("name").index_of("measured"))
    after = replay(graph, change)
    return int(after.time[graph.events.end_of[row]] - after.time[graph.events.start_of[row]])


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_prediction_is_what_happens(name: str, tmp_path: Path) -> None:
    program, function = PROGRAMS[name]
    before = run(tmp_path, program, SLOTS, SECONDS)
    cases = (
        (Change({f"__main__.{function}": 2.0}), SLOTS, SECONDS / 2),
        (Change(slots=FEWER), FEWER, SECONDS),
        (Change({f"__main__.{function}": 2.0}, slots=FEWER), FEWER, SECONDS / 2),
    )
    for change, slots, seconds in cases:
        told = statistics.median(predicted_ns(spans, change) for spans in before)
        real = statistics.median(measured_ns(spans) for spans in run(tmp_path, program, slots, seconds))
        was = statistics.median(measured_ns(spans) for spans in before)
        print(f"{name}, {change}: was {was / 1e9:.3f} s, predicted {told / 1e9:.3f} s, took {real / 1e9:.3f} s")
        assert abs(told - real) <= WITHIN * real
