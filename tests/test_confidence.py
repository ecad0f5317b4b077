"""How much of a critical path is certain, and what the rest rests on."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from raytrace_analyze import critical_path, load
from raytrace_analyze.cli import app
from tests.random_spans import random_table
from tests.simulator import simulate
from tests.sizes import counted
from tests.tables import run, span, submit, table

SAMPLES = Path(__file__).parent.parent / "sample_spans"


def unrecorded() -> pl.DataFrame:
    """Two tasks one after another, without recorded waits.

    driver [-[sa][sb]---------------------------]
    a             [=========]
    b                         [==========]
    """
    return table(
        span("driver", 0, 100, name="ray.driver"),
        submit("sa", 2, 4, "driver"),
        run("a", 6, 40, "sa", "A", function="m.first"),
        submit("sb", 5, 7, "driver"),
        run("b", 45, 90, "sb", "B", function="m.second"),
    )


def test_joins_and_predecessors_are_told_apart() -> None:
    path = critical_path(unrecorded())
    assert path.confidence().rows() == [
        # The driver before its last submit and after the last run, the submit and the way to `a`.
        (None, "(driver)", 12, 0.12, 2),
        (None, "f", 2, 0.02, 1),
        # That the driver waited for `b`, which ran from 45 to 90.
        ("join", "m.second", 45, 0.45, 1),
        # That `b` could start at 45 because `a` ended at 40; with it all that `a` took, from its submit's end on.
        ("predecessor", "m.first", 36, 0.36, 2),
        ("predecessor", "m.second", 5, 0.05, 1),
    ]


def test_without_inference_everything_is_certain() -> None:
    path = critical_path(unrecorded(), infer=False)
    assert path.confidence().get_column("inference").null_count() == path.confidence().height


@pytest.mark.parametrize("name", [f"{program}-ours" for program in ("map_reduce", "nested", "wait_loop", "failures")])
def test_all_that_our_hook_records_is_certain(name: str) -> None:
    found = load([SAMPLES / name])
    path = critical_path(found.spans, found.task_events)
    assert path.confidence().get_column("inference").unique().to_list() == [None]
    assert path.confidence().get_column("total_ns").sum() == path.makespan_ns


def check(spans: pl.DataFrame) -> None:
    path = critical_path(spans)
    found = path.confidence()
    assert found.get_column("total_ns").sum() == path.makespan_ns
    inferred = path.segments.filter("inferred").get_column("duration_ns").sum()
    assert found.drop_nulls("inference").get_column("total_ns").sum() == inferred


@counted(20, 60)
def test_it_adds_up_whatever_the_spans(count: int) -> None:
    for seed in range(count):
        check(random_table(seed, 30))
    for seed in range(12):
        check(simulate(seed).stock_spans)


def test_on_the_command_line() -> None:
    def ask(name: str, *options: str) -> str:
        done = CliRunner().invoke(app, ["critical-path", str(SAMPLES / name), *options])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "All of the makespan is certain" in ask("map_reduce-ours", "--confidence")
    said = " ".join(ask("nested-doc", "--confidence").split())
    assert "of the makespan is certain" in said
    assert "on who was waited for" in said
    assert "what let a run start" in said
    assert "certain" not in ask("nested-doc")
    document = json.loads(ask("nested-doc", "--confidence", "--format", "json"))
    about = document["confidence"]
    assert about["certain_ns"] + about["inferred_ns"] == document["makespan_ns"]
    assert about["join_ns"] + about["predecessor_ns"] == about["inferred_ns"] == document["inferred_ns"]
    assert sum(row["total_ns"] for row in about["by_function"]) == about["inferred_ns"]
    assert "confidence" not in json.loads(ask("nested-doc", "--format", "json"))
    wrong = CliRunner().invoke(app, ["critical-path", str(SAMPLES / "nested-doc"), "--confidence", "--all", "jobs"])
    assert "leave out --confidence" in str(wrong.exception)
