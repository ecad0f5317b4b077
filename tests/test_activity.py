"""A span's own time is told apart: on the CPU, idle in something, or not known."""

import json
from typing import Any

import polars as pl

from raytrace_analyze import critical_path
from raytrace_analyze.views.chain import say
from tests.random_spans import random_table
from tests.tables import run, span, submit, table, wait

MS = 1_000_000


def sampled(cpu_ms: int, *idle: tuple[int, int, str, str]) -> str:
    """Attributes as the hook's sampler writes them, times in ms."""
    stretches = [
        {"start_ns": start * MS, "end_ns": end * MS, "in": what, "at": where} for start, end, what, where in idle
    ]
    told = {"stretches": stretches, "left_out": 0, "left_out_ns": 0}
    return json.dumps({"raytrace.cpu_ns": cpu_ms * MS, "raytrace.idle": json.dumps(told)})


def job(attributes: str = "{}", *more: dict[str, Any]) -> pl.DataFrame:
    # driver [s][get of r.................................................]
    # r         [==== ~~~~ time.sleep ~~~~ ===============================]
    #           10   100                400                              1000 ms
    return table(
        span("driver", 0, 1010 * MS, name="ray.driver"),
        submit("s", 0, 5 * MS, "driver", submitted_task_id="T"),
        run("r", 10 * MS, 1000 * MS, "s", "T", name="f ray.remote_worker", attributes=attributes),
        wait("get", 6 * MS, 1010 * MS, "driver", ["T"]),
        *more,
        recorded=True,
    )


def told(spans: pl.DataFrame, span_id: str = "r") -> list[tuple[Any, ...]]:
    own = critical_path(spans).segments.filter(pl.col("category") == "self", pl.col("span_id") == span_id)
    times = (pl.col("start_ns") // MS, pl.col("end_ns") // MS)
    return list(own.select(*times, "activity", "idle_in", "idle_at").iter_rows())


def test_idle_stretches_are_cut_out_of_what_is_on_the_cpu() -> None:
    assert told(job(sampled(650, (100, 400, "time.sleep", "train.py:41")))) == [
        (10, 100, "cpu", None, None),
        (100, 400, "idle", "time.sleep", "train.py:41"),
        (400, 1000, "cpu", None, None),
    ]


def test_little_cpu_outside_the_idle_stretches_is_not_known_to_be_work() -> None:
    found = told(job(sampled(50, (100, 400, "time.sleep", "train.py:41"))))
    assert [row[2] for row in found] == ["unknown", "idle", "unknown"]


def test_what_nobody_looked_at_is_unknown() -> None:
    assert told(job()) == [(10, 1000, "unknown", None, None)]


def test_a_span_nested_in_a_run_has_the_runs_samples() -> None:
    inner = span("inner", 50 * MS, 900 * MS, "r")
    found = told(job(sampled(650, (100, 400, "time.sleep", "train.py:41")), inner), "inner")
    assert [row[2] for row in found] == ["cpu", "idle", "cpu"]
    assert [row[0] for row in found] == [50, 100, 400]


def test_waits_are_no_time_in_which_it_should_have_been_on_the_cpu() -> None:
    # r    [== [get of u.......................] ==]    all of its 100 ms outside the wait on the CPU
    spans = job(
        sampled(95),
        submit("s2", 20 * MS, 21 * MS, "r", submitted_task_id="U"),
        run("u", 30 * MS, 940 * MS, "s2", "U"),
        wait("get2", 50 * MS, 950 * MS, "r", ["U"]),
    )
    assert {row[2] for row in told(spans)} == {"cpu"}


def test_other_segments_have_no_activity_and_all_tile_whatever_the_samples() -> None:
    texts = ["{}", sampled(5, (0, 3, "x", "y")), sampled(5), '{"raytrace.cpu_ns": 5, "raytrace.idle": "[1]"}']
    overlapping = sampled(5, (1, 30, "x", "y"), (0, 3, "z", ""), (20, 60, "x", ""))
    for seed in range(40):
        spans = random_table(seed, 20)
        said = [[*texts, overlapping][number % 5] for number in range(spans.height)]
        path = critical_path(spans.with_columns(attributes=pl.Series(said)))
        plain = critical_path(spans)
        segments = path.segments
        assert segments["start_ns"].to_list()[1:] == segments["end_ns"].to_list()[:-1]
        assert segments["duration_ns"].sum() == plain.makespan_ns
        assert (segments["activity"].is_not_null() == (segments["category"] == "self")).all()
        assert len(path.rows) == segments.height
        sums = [one.by("category").select("category", "total_ns").rows() for one in (path, plain)]
        assert sums[0] == sums[1]


def test_only_what_is_on_the_cpu_is_said_to_work() -> None:
    spans = job(sampled(650, (100, 400, "time.sleep", "train.py:41")))
    said = [
        say(row) for row in critical_path(spans).segments.filter(span_id="r", category="self").iter_rows(named=True)
    ]
    assert [text.split(" [")[0] for text in said] == ["f works", "f is idle in time.sleep at train.py:41", "f works"]
    unknown = critical_path(job()).segments.filter(span_id="r", category="self").row(0, named=True)
    assert say(unknown).startswith("f runs")


def test_attributes_that_are_no_json_tell_nothing() -> None:
    """Of a table that somebody else wrote; the names are there, and what stands around them is cut off."""
    spans = table(
        span("d", 0, 400, category="driver", name="ray.driver", attributes='{"raytrace.cpu_ns": 1'),
        submit("s", 10, 20, "d", submitted_task_id="a", dependency_task_ids=[]),
        run("r", 30, 200, "s", "a", attributes='{"raytrace.cpu_ns": 1, "raytrace.item_ready": "["'),
        wait("w", 20, 210, "d", ["a"], attributes='{"raytrace.item": 1, "raytrace.awaited_task_ids": ['),
        recorded=True,
    )
    segments = critical_path(spans).segments
    assert segments["duration_ns"].sum() == 400
    assert set(segments["activity"].drop_nulls()) == {"unknown"}
