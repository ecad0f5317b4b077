"""A run that a call ended, ended because of that call: the path goes on to where it was made."""

from typing import Any

import polars as pl
import pytest

from raytrace_analyze import critical_path, prepare
from raytrace_analyze.table.events.attempts import with_event_columns
from tests.tables import chain, run, span, submit, table, wait
from tests.test_agreement import check_agreement

MS = 1_000_000


@pytest.mark.parametrize(
    ("about", "is_cut"),
    [
        ({"status": "ERROR"}, True),
        ({"status": "OK"}, False),
        ({"status": "UNSET", "attributes": '{"raytrace.cancelled": true}'}, True),
        ({"status": "ERROR", "error_type": "TASK_EXECUTION_EXCEPTION"}, False),
    ],
)
def test_a_run_that_was_cancelled_ended_because_of_the_call(about: dict[str, Any], is_cut: bool) -> None:
    # driver [s]------[cancel]  [get ..]---]
    # run        [==================]          failed because of the call, or came to its own end
    error = about.pop("error_type", None)
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T"),
        run("r", 10, 70, "s", "T", **about),
        span("call", 50, 50, "driver", name="ray.cancel", attributes='{"raytrace.target_task_id": "T"}'),
        wait("get", 60, 75, "driver", ["T"]),
        recorded=True,
    )
    spans = spans.with_columns(error_type=pl.when(pl.col("span_id") == "r").then(pl.lit(error, pl.String)))
    path = critical_path(spans).segments
    assert (("driver", 4, 50, "self") in chain(path)) == is_cut
    assert ("r", 50 if is_cut else 10, 70, "self") in chain(path)
    assert ("cancel" in path["via"].to_list()) == is_cut


@pytest.mark.parametrize("killed", [True, False])
def test_what_a_process_did_until_it_was_killed_nobody_saw(killed: bool) -> None:
    # driver [s]------------[cancel, by force]-[get ..]---]
    # run        [== on the CPU ==============]     its end is known from Ray alone, or it tells that itself
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver"),
        submit("s", 2 * MS, 4 * MS, "driver", submitted_task_id="T"),
        run("r", 10 * MS, 700 * MS, "s", "T", status="ERROR", attributes='{"raytrace.cpu_ns": 690000000}'),
        span("call", 500 * MS, 500 * MS, "driver", name="ray.cancel", attributes='{"raytrace.target_task_id": "T"}'),
        wait("get", 510 * MS, 750 * MS, "driver", ["T"]),
        recorded=True,
    )
    is_run = pl.col("span_id") == "r"
    failed = pl.col("end") if killed else pl.col("end") + pl.duration(milliseconds=1)
    spans = with_event_columns(spans).with_columns(
        error_type=pl.when(is_run).then(pl.lit("TASK_CANCELLED")), state_failed=pl.when(is_run).then(failed)
    )
    (piece,) = critical_path(spans).segments.filter(span_id="r", category="self").to_dicts()
    assert (piece["start_ns"], piece["end_ns"]) == (500 * MS, 700 * MS)
    assert piece["activity"] == ("unknown" if killed else "cpu")


def test_what_a_cancelled_task_submitted_ended_because_of_the_same_call() -> None:
    # driver [s]-------[kill]  [get of the inner task ]--]
    # outer      [==s2====x                                 its actor is killed
    # inner            [========x
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T"),
        run("outer", 10, 52, "s", "T", status="ERROR", actor_id="A", function="A.m"),
        submit("s2", 15, 16, "outer", submitted_task_id="U"),
        run("inner", 20, 60, "s2", "U", status="ERROR"),
        span("call", 50, 50, "driver", name="ray.kill", actor_id="A"),
        wait("get", 55, 75, "driver", ["U"]),
        recorded=True,
    )
    path = chain(critical_path(spans).segments)
    assert ("inner", 50, 60, "self") in path
    assert ("driver", 4, 50, "self") in path


@pytest.mark.parametrize("went_on", [True, False])
def test_a_driver_that_went_on_after_an_interrupt_was_not_stopped(went_on: bool) -> None:
    # driver [s][get ....x][s][get ==]--    Ctrl-C, which the program caught: it asked for something else, and got that
    rows = [
        span("driver", 0, 1000 * MS, name="ray.driver", category="driver"),
        submit("s", 0, MS, "driver", submitted_task_id="T"),
        run("r", 10 * MS, 400 * MS, "s", "T"),
        wait("g", 20 * MS, 300 * MS, "driver", [], status="ERROR", status_message="KeyboardInterrupt: "),
    ]
    if went_on:
        rows += [
            submit("s2", 310 * MS, 311 * MS, "driver", submitted_task_id="T2"),
            run("r2", 320 * MS, 500 * MS, "s2", "T2"),
            wait("g2", 312 * MS, 505 * MS, "driver", ["T2"]),
        ]
    ended = critical_path(table(*rows, recorded=True)).ended
    assert ended.was_interrupted != went_on
    assert (ended.outcome == "completed") == went_on


@pytest.mark.parametrize(
    ("above", "error", "is_inside"),
    [
        ("d", "SystemExit: 1", True),
        ("d", "KeyboardInterrupt", True),
        ("d", "RayTaskError: SystemExit", False),
        (None, "SystemExit: 1", False),  # another thread
    ],
)
def test_what_a_signal_handler_does_lies_in_the_wait_that_it_broke_into(
    above: str | None, error: str, is_inside: bool
) -> None:
    # driver [s][get work .........................x]
    #    handler                 [stop][get stop..]
    # work       [============================]        stop ends it
    spans = table(
        span("d", 0, 1000 * MS, None, name="ray.driver", category="driver"),
        submit("s", 10 * MS, 11 * MS, "d", submitted_task_id="W", function="work"),
        run("w", 12 * MS, 900 * MS, "s", "W", function="work", pid=2),
        wait("get", 20 * MS, 950 * MS, "d", ["W"], status="ERROR", status_message=error),
        submit("s2", 800 * MS, 801 * MS, above, submitted_task_id="S", function="stop"),
        run("stop", 802 * MS, 890 * MS, "s2", "S", function="stop", pid=3),
        wait("get2", 803 * MS, 895 * MS, above, ["S"]),
        recorded=True,
    )
    parent, names = prepare(spans).structure.parent, spans["span_id"].to_list()
    found = {names[parent[names.index(name)]] for name in ("s2", "get2")}
    assert found == {"get" if is_inside else "d"}
    if is_inside:
        own = critical_path(spans).segments.filter(function="(driver)", category="self")
        assert own["duration_ns"].sum() < 80 * MS
        check_agreement(spans)
