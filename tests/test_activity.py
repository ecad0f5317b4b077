"""A span's own time is told apart: on the CPU, idle in something, or not known."""

import json
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import critical_path, latency_stats, tell_story
from raytrace_analyze.table.events.attempts import with_event_columns
from raytrace_analyze.views.paths.segment_words import activity_text, say
from tests.random_spans import random_table
from tests.sizes import counted
from tests.tables import run, span, submit, table, wait

MS = 1_000_000


def sampled(cpu_ms: int, *idle: tuple[int, int, str, str], **more: Any) -> str:
    """Attributes as the hook's sampler writes them, times in ms."""
    stretches = [
        {"start_ns": start * MS, "end_ns": end * MS, "in": what, "at": where} for start, end, what, where in idle
    ]
    told = {"stretches": stretches, "left_out": 0, "left_out_ns": 0}
    return json.dumps({"raytrace.cpu_ns": cpu_ms * MS, "raytrace.idle": json.dumps(told), **more})


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


def test_a_thread_that_is_found_idle_was_so_already_where_it_used_no_cpu() -> None:
    # Nobody looks in the first 100 ms, and not right before the end.
    found = told(job(sampled(20, (110, 920, "time.sleep", "train.py:41"))))
    assert found == [(10, 1000, "idle", "time.sleep", "train.py:41")]
    found = told(job(sampled(60, (110, 920, "time.sleep", "train.py:41"))))
    assert [row[2] for row in found] == ["unknown", "idle", "unknown"]


def test_a_thread_that_others_kept_from_the_cpu_worked() -> None:
    found = told(job(sampled(50, (100, 400, "time.sleep", "train.py:41"), **{"raytrace.cpu_delay_ns": 500 * MS})))
    assert [row[2] for row in found] == ["cpu", "idle", "cpu"]


def _with_idle(attributes: str, **more: Any) -> str:
    """Say more of the idle stretches than `sampled` does."""
    found = json.loads(attributes)
    return json.dumps({**found, "raytrace.idle": json.dumps(json.loads(found["raytrace.idle"]) | more)})


def test_stretches_that_are_not_told_one_by_one_are_idle_for_as_long() -> None:
    # 690 ms beside the stretch that is told: 400 of them were idle, too, in stretches that there was no room for.
    once = sampled(290, (100, 400, "time.sleep", "train.py:41"))
    places = [{"in": "socket.recv", "at": "etl.py:7", "ns": 400 * MS}]
    for more, place in (({"left_out_in": places}, ("socket.recv", "etl.py:7")), ({}, (None, None))):
        found = told(job(_with_idle(once, left_out=40, left_out_ns=400 * MS, **more)))
        spent: dict[tuple[str, Any, Any], int] = {}
        for start, end, activity, what, where in found:
            spent[activity, what, where] = spent.get((activity, what, where), 0) + end - start
        # The 90 ms at its start are too short for one of them.
        assert spent == {("idle", "time.sleep", "train.py:41"): 300, ("idle", *place): 400, ("cpu", None, None): 290}


def test_a_thread_that_was_busy_all_the_time_was_not_idle_then() -> None:
    # r    [== busy ======][~ idle in stretches that there was no room for, and on the CPU]
    busy = {"raytrace.busy": json.dumps([[20 * MS, 700 * MS, 650 * MS]])}
    places = [{"in": "socket.recv", "at": "etl.py:7", "ns": 200 * MS}]
    about = json.dumps({**json.loads(sampled(660)), **busy})
    found = told(job(_with_idle(about, left_out=40, left_out_ns=200 * MS, left_out_in=places)))
    assert [(start, end, what) for start, end, what, _, _ in found] == [
        (10, 20, "unknown"), (20, 700, "cpu"), (700, 900, "idle"), (900, 1000, "unknown"),
    ]  # fmt: skip


def test_what_a_thread_does_where_it_wakes_up_says_nothing_of_the_rest() -> None:
    stretch = {"start_ns": 100 * MS, "end_ns": 940 * MS, "in": "time.sleep", "at": "a.py:3", "busy_ns": 90 * MS}
    found = told(job(_with_idle(sampled(95), stretches=[stretch])))
    assert [row[2] for row in found] == ["idle"]


def test_one_stretch_on_the_cpu_says_nothing_of_the_rest() -> None:
    # r    [== busy =====][short sleeps ...........]    700 ms of CPU in all, of which 650 in the one stretch
    busy = {"raytrace.busy": json.dumps([[20 * MS, 700 * MS, 650 * MS]])}
    assert told(job(sampled(700, **busy))) == [
        (10, 20, "unknown", None, None),
        (20, 700, "cpu", None, None),
        (700, 1000, "unknown", None, None),
    ]
    assert {row[2] for row in told(job(sampled(700)))} == {"cpu"}


@pytest.mark.parametrize(("cpu_ms", "activity"), [(500, "unknown"), (900, "cpu")])
def test_what_submissions_took_may_have_been_on_the_cpu(cpu_ms: int, activity: str) -> None:
    # r    [=][s2 ...............][===========================]    s2 may have used all of the 490 ms that it lasted
    other = submit("s2", 20 * MS, 510 * MS, "r", submitted_task_id="U")
    assert {row[2] for row in told(job(sampled(cpu_ms), other))} == {activity}


def test_short_sleeps_again_and_again_are_not_on_the_cpu() -> None:
    # r    [z=z=z=z=z=z...]    600 ms of CPU in all, most of it for calls of Ray's; looks found it asleep most often
    assert {row[2] for row in told(job(sampled(600)))} == {"cpu"}
    idle = {"raytrace.idle": json.dumps({"stretches": [], "left_out": 0, "left_out_ns": 0, "short_ns": 500 * MS})}
    assert {row[2] for row in told(job(json.dumps(json.loads(sampled(600)) | idle)))} == {"unknown"}


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


def test_what_another_thread_did_while_its_own_waited_is_not_known_to_be_work() -> None:
    # driver [====][get of r ..............................][==]    busy for all the rest of its time
    # thread                          [cancel]                      ~ what it did before that, nobody saw
    # r        [======================]
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver", category="driver", attributes=sampled(300)),
        submit("s", 0, 5 * MS, "driver", submitted_task_id="T"),
        run("r", 10 * MS, 601 * MS, "s", "T", attributes='{"raytrace.cancelled": true}'),
        span("c", 600 * MS, 600 * MS, None, name="ray.cancel", attributes='{"raytrace.target_task_id": "T"}'),
        wait("get", 200 * MS, 700 * MS, "driver", ["T"]),
        recorded=True,
    )
    assert told(spans, "driver") == [
        (5, 200, "cpu", None, None),
        (200, 600, "unknown", None, None),
        (700, 1000, "cpu", None, None),
    ]


@counted(15, 40)
def test_other_segments_have_no_activity_and_all_tile_whatever_the_samples(count: int) -> None:
    texts = ["{}", sampled(5, (0, 3, "x", "y")), sampled(5), '{"raytrace.cpu_ns": 5, "raytrace.idle": "[1]"}']
    overlapping = sampled(5, (1, 30, "x", "y"), (0, 3, "z", ""), (20, 60, "x", ""))
    for seed in range(count):
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


@pytest.mark.parametrize("number", ["1" + "0" * 30, "-1" + "0" * 30, "1e300", "1e999", "NaN", '"x"', "null", "[]"])
def test_times_of_stretches_that_cannot_be_break_nothing(number: str) -> None:
    first, second = f'"start_ns":{number},"end_ns":{number}', f'"start_ns":0,"end_ns":{number},"busy_ns":{number}'
    idle = f'{{"stretches":[{{{first}}},{{{second}}}]}}'
    for told in (idle, f'{{"stretches":[],"left_out_ns":{number},"short_ns":{number}}}'):
        attributes = {"raytrace.cpu_ns": 10 * MS, "raytrace.idle": told, "raytrace.busy": f"[[0,{number},{number}]]"}
        segments = critical_path(job(json.dumps(attributes))).segments
        assert segments["duration_ns"].sum() == 1010 * MS


def test_a_run_is_told_in_a_sentence_down_to_the_line() -> None:
    spans = job(sampled(200, (50, 400, "socket.recv", "/p/etl.py:42"), (500, 950, "socket.recv", "/p/etl.py:42")))
    row = critical_path(spans).activity().filter(span_id="r").row(0, named=True)
    assert (row["self_ns"], row["cpu_ns"], row["idle_ns"]) == (990 * MS, 190 * MS, 800 * MS)
    assert (row["idle_in"], row["idle_at"], row["idle_times"]) == ("socket.recv", "/p/etl.py:42", 2)
    assert activity_text(row) == "`f` ran 990 ms: 190 ms on the CPU, 800 ms idle in socket.recv at etl.py:42."


def test_why_shows_the_lines_with_their_share() -> None:
    stacks = (
        "cpu;main (/p/a.py:1);load (/p/etl.py:7) 3\nidle;main (/p/a.py:1);load (/p/etl.py:42) 6\ncpu;x (/p/b.py:2) 1"
    )
    told = json.dumps({"raytrace.cpu_ns": 5, "raytrace.stacks": stacks})
    lines = tell_story(job(told), "r").lines
    assert lines.select("activity", "function", "place", "samples", pl.col("share").round(6)).rows() == [
        ("idle", "load", "/p/etl.py:42", 6, 0.6),
        ("cpu", "load", "/p/etl.py:7", 3, 0.3),
        ("cpu", "x", "/p/b.py:2", 1, 0.1),
    ]
    for damaged in ("cpu", "x 3", "cpu;f 1\x00", "cpu; 99999999999999999999", "gpu;f (/p/b.py:2) 1"):
        assert tell_story(job(json.dumps({"raytrace.stacks": damaged})), "r").lines.is_empty()


def test_stats_has_cpu_time_and_unknown_is_not_0() -> None:
    known, unknown = latency_stats(job(sampled(650))), latency_stats(job())
    assert known.select("cpu_total_ns", "cpu_run_ns").row(0) == (650 * MS, 990 * MS)
    assert unknown.select("cpu_total_ns", "cpu_run_ns").row(0) == (None, None)


def test_stats_counts_every_attempt_that_gave_no_result() -> None:
    frame = table(
        span("driver", 0, 1010 * MS, name="ray.driver"),
        submit("s", 0, 5 * MS, "driver", submitted_task_id="T"),
        run("r1", 10 * MS, 100 * MS, "s", "T", status="ERROR", attempt=0),
        run("r2", 200 * MS, 300 * MS, "s", "T", status="OK", attempt=1),
        submit("s2", 6 * MS, 7 * MS, "driver", submitted_task_id="U"),
        run("r3", 10 * MS, 100 * MS, "s2", "U", attributes='{"raytrace.cancelled": true}'),
        recorded=True,
    )
    stats = latency_stats(frame).row(0, named=True)
    assert [stats[name] for name in ("count", "errors", "cancelled", "killed", "retried")] == [3, 2, 1, 0, 1]
    died = with_event_columns(frame).with_columns(
        error_type=pl.when(pl.col("span_id") == "r1").then(pl.lit("WORKER_DIED"))
    )
    stats = latency_stats(died).row(0, named=True)
    assert [stats[name] for name in ("errors", "cancelled", "killed")] == [2, 1, 1]
