"""Why runs waited: drawn by hand for every cause, with task events and without; programs whose truth is known."""

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import NoSpansError, critical_path, critical_paths, latency_stats, load, queue_causes, summary
from raytrace_analyze.vocabulary.queues import Cause
from tests.random_spans import random_table
from tests.simulated_events import Observed, event_table, observe
from tests.simulator import simulate
from tests.sizes import counted, spread
from tests.tables import run, span, submit, table, wait, whole

SAMPLES = Path(__file__).parent.parent / "sample_spans"
CAUSES = set(Cause)
MS = 1_000_000

Piece = tuple[str, int, int, str | None]


def pieces(spans: pl.DataFrame, of: str, events: pl.DataFrame | None = None) -> list[Piece]:
    """What a run waited for: (cause, start, end, span id of who held it)."""
    found = queue_causes(spans, events).filter(span_id=of)
    return list(found.select("cause", "start_ns", "end_ns", "holder_span_id").iter_rows())


def attempt(task: str, number: int = 0, **values: Any) -> dict[str, Any]:
    """The task events of an attempt; states by their names in short."""
    names = {"args": "pending_args_avail", "assigned": "pending_node_assignment", "sent": "submitted_to_worker"}
    return {"session": "s", "task_id": task, "attempt": number} | {names.get(key, key): values[key] for key in values}


def profile(arguments: int, arguments_end: int, execute: int) -> str:
    return (
        f'[{{"name":"task:deserialize_arguments","start_ns":{arguments},"end_ns":{arguments_end}}},'
        f'{{"name":"task:execute","start_ns":{execute},"end_ns":{execute}}}]'
    )


# By the spans


def test_a_result_that_was_not_there_then_the_way_to_the_worker() -> None:
    # s0 s1
    # a     [----------]              on worker 1
    # b                  [----]       takes a's result; on worker 1, which had nothing else to do
    spans = table(
        submit("s0", 0, 1, submitted_task_id="A"),
        submit("s1", 2, 4, submitted_task_id="B", dependency_task_ids=["A"]),
        run("a", 10, 50, "s0", "A", worker_id="w1"),
        run("b", 58, 90, "s1", "B", worker_id="w1"),
        recorded=True,
    )
    assert pieces(spans, "b") == [("dependency", 4, 50, "a"), ("dispatch", 50, 58, None)]


def test_a_worker_process_that_was_not_there_yet() -> None:
    # s0
    # a       ..............[-----]   the first that its worker ever ran
    spans = table(submit("s0", 0, 5), run("a", 80, 90, "s0", "A"), recorded=True)
    assert pieces(spans, "a") == [("worker-start", 5, 80, None)]


def test_a_worker_that_ran_something_else() -> None:
    # a  [---------------]                 worker 1
    # b      [--------------------]        worker 2
    # c     ..............[--------]       submitted at 10, worker 1
    spans = table(
        submit("sa", 0, 1), run("a", 2, 50, "sa", "A", worker_id="w1"),
        submit("sb", 1, 2), run("b", 3, 70, "sb", "B", worker_id="w2"),
        submit("sc", 9, 10), run("c", 53, 80, "sc", "C", worker_id="w1"),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "c") == [("no-slot", 10, 50, "a"), ("dispatch", 50, 53, None)]
    found = queue_causes(spans).filter(span_id="c", cause="no-slot").row(0, named=True)
    assert found["sentence"] == "f waited 40 ns for f, which ran on node n: no slot was free"
    assert (found["holder_function"], found["holder_node_id"], found["holder_ns"]) == ("f", "n", 40)
    assert found["ended_meanwhile"] == 1


def test_a_slot_in_which_a_process_is_still_starting() -> None:
    # a  ..[wwwwwwwwwwww][------]                       one slot, worker 1
    # b      ............................[----]         while that starts, nobody works: it is not a lack of slots
    spans = table(
        submit("sa", 0, 1 * MS), run("a", 400 * MS, 600 * MS, "sa", "A", worker_id="w1"),
        submit("sb", 9 * MS, 10 * MS), run("b", 602 * MS, 700 * MS, "sb", "B", worker_id="w1"),
        submit("sc", 9 * MS, 11 * MS), run("c", 702 * MS, 800 * MS, "sc", "C", worker_id="w1"),
        recorded=True,
    )  # fmt: skip
    of_b = [("slot-start", 10 * MS, 400 * MS, "a"), ("no-slot", 400 * MS, 600 * MS, "a")]
    assert pieces(spans, "b")[:2] == of_b
    # The one after that, too: it was given the slot of b, in the process of a.
    of_c = [("slot-start", 11 * MS, 400 * MS, "a"), ("no-slot", 400 * MS, 700 * MS, "b")]
    assert pieces(spans, "c")[:2] == of_c
    (found,) = queue_causes(spans).filter(span_id="b", cause="slot-start")["sentence"]
    assert found == "f waited 390 ms for a slot whose worker process was still starting on node n"


def test_what_a_process_takes_in_the_slot_that_somebody_waits_for_is_start_up() -> None:
    # a  ..[wwwwwwwwwwww][------]            one slot, worker 1
    # c      ....................[ww][---]   in worker 2, which begins with c
    spans = table(
        span("driver", 0, 950 * MS, name="ray.driver"),
        submit("sa", 1 * MS, 2 * MS, "driver", submitted_task_id="A"),
        submit("sc", 9 * MS, 11 * MS, "driver", submitted_task_id="C"),
        run("a", 400 * MS, 600 * MS, "sa", "A", worker_id="w1"),
        run("c", 800 * MS, 900 * MS, "sc", "C", worker_id="w2"),
        wait("get", 12 * MS, 910 * MS, "driver", ["C"]),
        recorded=True,
    )  # fmt: skip
    took = [("slot-start", 389 * MS), ("no-slot", 200 * MS), ("worker-start", 200 * MS)]
    assert [(cause, end - start) for cause, start, end, _ in pieces(spans, "c")] == took
    spent = dict(summary(spans).time.select("spent_on", "total_ns").iter_rows())
    assert (spent["start-up"], spent["queue"]) == (589 * MS, 200 * MS)


@pytest.mark.parametrize("pause", [20, 500])
def test_what_did_not_take_a_slot_that_was_free_for_long_waited_for_something_else(pause: int) -> None:
    # a  [----]  [----]          one slot, worker 1
    # c    .................[--] there, too: it could have had the slot in between, if that was for long
    again, end = 100 + pause, 200 + pause
    spans = table(
        submit("sa", 0, 1 * MS), run("a", 2 * MS, 100 * MS, "sa", "A", worker_id="w1"),
        submit("sb", again * MS - 2, again * MS - 1),
        run("b", again * MS, end * MS, "sb", "B", worker_id="w1"),
        submit("sc", 9 * MS, 10 * MS), run("c", (end + 2) * MS, 900 * MS, "sc", "C", worker_id="w1"),
        recorded=True,
    )  # fmt: skip
    no_slot = [(start, end) for cause, start, end, _ in pieces(spans, "c") if cause == "no-slot"]
    unknown = [(start, end) for cause, start, end, _ in pieces(spans, "c") if cause == "unknown"]
    if pause > 200:
        assert (no_slot, unknown) == ([(again * MS, end * MS)], [(10 * MS, again * MS)])
    else:
        assert (no_slot, unknown) == ([(10 * MS, end * MS)], [])


def test_a_full_node_then_a_new_worker() -> None:
    # a  [---------------]                 worker 1, as many CPUs as were ever in use: one
    # b      .............[wwwwww][----]   worker 2, which begins with b
    spans = table(
        submit("sa", 0, 1), run("a", 2, 50, "sa", "A"),
        submit("sb", 9, 10), run("b", 70, 90, "sb", "B"),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "b") == [("no-slot", 10, 50, "a"), ("worker-start", 50, 70, None)]


def test_a_task_that_wants_the_whole_node() -> None:
    # a  [-----]       [------]            two CPUs in use when a and b run, so there are two
    # b  [-------------]
    # c       .........                    wants both: has to wait until the other is free too
    both = '{"raytrace.resources": "{\\"CPU\\":2}"}'
    spans = table(
        submit("sa", 0, 1), run("a", 2, 30, "sa", "A", worker_id="w1"),
        submit("sb", 0, 1), run("b", 2, 60, "sb", "B", worker_id="w2"),
        submit("sc", 9, 10, attributes=both), run("c", 64, 90, "sc", "C", worker_id="w1"),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "c") == [("no-slot", 10, 60, "b"), ("dispatch", 60, 64, None)]


def test_a_task_that_waits_for_memory() -> None:
    # a  [-----]                           9 GB each, of which no two were ever in use at a time
    # b  ......[-----]                     CPUs are free
    asks = json.dumps({"raytrace.resources": json.dumps({"CPU": 1, "memory": 9_000_000_000})})
    spans = table(
        submit("sx", 0, 1), run("x", 2, 90, "sx", "X", worker_id="w0"),
        submit("sy", 0, 1), run("y", 2, 90, "sy", "Y", worker_id="w3"),
        submit("sa", 0, 1, attributes=asks), run("a", 3, 30, "sa", "A", worker_id="w1"),
        submit("sb", 0, 1, attributes=asks), run("b", 32, 60, "sb", "B", worker_id="w1"),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "b") == [("no-slot", 1, 30, "a"), ("dispatch", 30, 32, None)]


def test_what_came_free_last_is_named_where_it_is_no_cpu() -> None:
    # x  [-------------]                   two CPUs, and one arm as far as was seen, which a, b and c want besides
    # a  [------][--y--]                   y takes the CPU that a had, so that b waits for one
    # b                 [-----]
    # c                        [-----]     there is a CPU, but no arm
    asks = json.dumps({"raytrace.resources": json.dumps({"CPU": 1, "arm": 1})})
    spans = table(
        submit("sx", 0, 1), run("x", 2, 40, "sx", "X", worker_id="w0"),
        submit("sa", 0, 1, attributes=asks), run("a", 3, 30, "sa", "A", worker_id="w1"),
        submit("sb", 0, 1, attributes=asks), run("b", 42, 60, "sb", "B", worker_id="w1"),
        submit("sy", 0, 1), run("y", 30, 41, "sy", "Y", worker_id="w1"),
        submit("sc", 0, 1, attributes=asks), run("c", 61, 80, "sc", "C", worker_id="w1"),
        recorded=True,
    )  # fmt: skip
    causes = queue_causes(spans).filter(cause="no-slot")
    assert dict(causes.select("task_id", "resource").iter_rows()) == {"B": None, "C": "arm", "Y": None}
    (sentence,) = causes.filter(task_id="C")["sentence"]
    assert sentence.endswith("for f, which ran on node n, the last that had what there is of `arm`")


@pytest.mark.parametrize(
    ("placed", "causes"),
    [(None, ["no-slot", "worker-start"]), ({"CPU": 1}, ["no-slot", "worker-start"]), ({}, ["worker-start"])],
)
def test_an_actor_waits_for_a_slot_only_if_it_asks_for_one(placed: dict[str, int] | None, causes: list[str]) -> None:
    # a         [---------------]                    the one CPU
    # A.__init__    .............[wwwwww][----]      asks for no CPU at all, or for one only to be placed
    told = {"raytrace.resources": "{}"} | (
        {} if placed is None else {"raytrace.placement_resources": json.dumps(placed)}
    )
    spans = table(
        submit("sa", 0, 1), run("a", 2, 50, "sa", "A"),
        submit("sb", 9, 10, attributes=json.dumps(told)), actor("b", 70, 90, "sb", "B", function="A.__init__"),
        recorded=True,
    )  # fmt: skip
    assert [cause for cause, *_ in pieces(spans, "b")] == causes


def test_an_actor_that_does_nothing_has_its_slot_until_it_is_killed() -> None:
    # X.__init__  [-----]                                one CPU, worker wx
    # X.m                [--]
    # driver                           [kill X]
    # b              .................................[wwww][----]
    spans = table(
        span("driver", 0, 900 * MS, name="ray.driver", category="driver"),
        submit("si", 0, 1 * MS, "driver", submitted_task_id="I", attributes='{"raytrace.resources": "{\\"CPU\\":1}"}'),
        actor("init", 10 * MS, 20 * MS, "si", "I", function="X.__init__"),
        submit("sm", 2 * MS, 3 * MS, "driver", submitted_task_id="M"),
        actor("m", 30 * MS, 40 * MS, "sm", "M", function="X.m"),
        submit("sb", 50 * MS, 51 * MS, "driver", submitted_task_id="B"),
        span("kill", 400 * MS, 400 * MS, "driver", name="ray.kill", actor_id="X"),
        run("b", 600 * MS, 700 * MS, "sb", "B"),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "b") == [
        ("no-slot", 51 * MS, 400 * MS, "init"),
        ("worker-start", 400 * MS, 600 * MS, None),
    ]
    (said,) = queue_causes(spans).filter(span_id="b", cause="no-slot")["sentence"]
    assert said == "f waited 349 ms for the slot of actor X, which ran on node n"


def test_a_task_that_waits_for_others_gives_its_slot_back() -> None:
    # parent  [------[get.............]--]   one CPU
    # child        ...[wwwww][---]           given the slot when parent begins to wait at 40
    spans = table(
        submit("sp", 0, 1), run("parent", 2, 120, "sp", "P"),
        submit("sc", 20, 22, "parent", submitted_task_id="C"), run("child", 70, 90, "sc", "C"),
        wait("get", 40, 95, "parent", ["C"]),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "child") == [("no-slot", 22, 40, "parent"), ("worker-start", 40, 70, None)]


def actor(span_id: str, start: int, end: int, parent: str, task: str, **columns: Any) -> dict[str, Any]:
    return run(span_id, start, end, parent, task, **{"function": "A.m", "actor_id": "X", "worker_id": "wx", **columns})


def test_an_actor_that_is_created_first_then_busy() -> None:
    # init   .......[------]
    # m1        ............[--------]
    # m2          ....................[-----]
    spans = table(
        submit("si", 0, 1), actor("init", 30, 50, "si", "I", function="A.__init__"),
        submit("s1", 2, 3), actor("m1", 52, 80, "s1", "M1"),
        submit("s2", 4, 5), actor("m2", 81, 95, "s2", "M2"),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "init") == [("worker-start", 1, 30, None)]
    assert pieces(spans, "m1") == [("actor-start", 3, 50, "init"), ("dispatch", 50, 52, None)]
    assert pieces(spans, "m2") == [
        ("actor-start", 5, 50, "init"),
        ("actor-busy", 50, 80, "m1"),
        ("dispatch", 80, 81, None),
    ]


def test_an_actor_that_dies_and_is_made_anew() -> None:
    # init  [--]              [----]
    # m1         [------x
    # m2            ................[---]
    spans = table(
        submit("si", 0, 1), actor("init", 5, 10, "si", "I", function="A.__init__"),
        submit("s1", 11, 12), actor("m1", 14, 40, "s1", "M1", status="ERROR"),
        submit("s2", 19, 20), actor("m2", 92, 99, "s2", "M2", worker_id="wy"),
        actor("init2", 70, 90, "si", "I", function="A.__init__", worker_id="wy", attempt=1),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "m2") == [
        ("actor-busy", 20, 40, "m1"),
        ("actor-start", 40, 90, "init2"),
        ("dispatch", 90, 92, None),
    ]
    assert pieces(spans, "init2")[0][1:3] == (40, 70)


def test_an_async_actor_with_two_turns() -> None:
    # m1  [----------]
    # m2    [------------------]
    # m3       .......[----]       starts when one of the two is over
    spans = table(
        submit("s1", 0, 1), actor("m1", 2, 40, "s1", "M1", concurrent=True),
        submit("s2", 1, 2), actor("m2", 4, 70, "s2", "M2", concurrent=True),
        submit("s3", 9, 10), actor("m3", 41, 60, "s3", "M3", concurrent=True),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "m3") == [("actor-busy", 10, 40, "m1"), ("dispatch", 40, 41, None)]


def test_arguments_from_another_node() -> None:
    # a  [-----]                       node n
    # b         ..............[----]   node m, on a worker that had been idle
    spans = table(
        submit("s0", 0, 1), run("old", 2, 3, "s0", "O", worker_id="w2", node_id="m"),
        submit("sa", 4, 5, submitted_task_id="A"), run("a", 6 * MS, 20 * MS, "sa", "A", worker_id="w1"),
        submit("sb", 6, 7, dependency_task_ids=["A"]),
        run("b", 90 * MS, 95 * MS, "sb", "B", worker_id="w2", node_id="m"),
        recorded=True,
    )  # fmt: skip
    assert pieces(spans, "b") == [("dependency", 7, 20 * MS, "a"), ("transfer", 20 * MS, 90 * MS, None)]


def test_an_attempt_after_another() -> None:
    # a0  [------x
    # a1           .........[-----]   same worker
    spans = table(
        submit("s0", 0, 1, submitted_task_id="A"),
        run("a0", 5, 30, "s0", "A", worker_id="w1", attempt=0, status="ERROR"),
        run("a1", 60, 80, "s0", "A", worker_id="w1", attempt=1),
        recorded=True,
    )
    assert pieces(spans, "a0") == [("worker-start", 1, 5, None)]
    assert [piece[:3] for piece in pieces(spans, "a1")] == [("retry", 30, 60)]


# By the task events


def with_events(of: str = "b", **states: Any) -> list[Piece]:
    """A task `b` on a worker that ran `a` until 50 and then nothing; submitted until 10, started at 100."""
    spans = table(
        submit("sa", 0, 1, submitted_task_id="A"), run("a", 2, 50, "sa", "A", worker_id="w1"),
        submit("sb", 8, 10, submitted_task_id="B", dependency_task_ids=["A"]),
        run("b", 100, 120, "sb", "B", worker_id="w1"),
        recorded=True,
    )  # fmt: skip
    return pieces(spans, of, event_table([attempt("B", **states)]))


def test_states_decide_what_the_spans_cannot_know() -> None:
    # args until 52, slot until 60, at the worker at 64, arguments 70 to 90, body from 96
    found = with_events(args=9, assigned=52, sent=60, running=64, profile=profile(70, 90, 96))
    assert found == [
        ("dependency", 10, 52, "a"),
        ("dispatch", 52, 64, None),
        ("function-load", 64, 70, None),
        ("transfer", 70, 90, None),
        ("function-load", 90, 96, None),
        ("dispatch", 96, 100, None),
    ]


def test_a_slot_by_its_states() -> None:
    # the arguments were there at once; a held the worker until 50, which was known at 54
    found = with_events(args=9, assigned=11, sent=56, running=57)
    assert found == [("dependency", 10, 11, "a"), ("no-slot", 11, 50, "a"), ("dispatch", 50, 100, None)]


def test_a_new_worker_by_its_states() -> None:
    # the worker is there at 60; it loads code and arguments until 95
    spans = table(submit("s", 8, 10, submitted_task_id="B"), run("b", 100, 120, "s", "B"), recorded=True)
    states = attempt("B", args=9, assigned=12, sent=60, running=62, profile=profile(70, 90, 95))
    assert pieces(spans, "b", event_table([states])) == [
        ("dispatch", 10, 12, None),
        ("worker-start", 12, 60, None),
        ("dispatch", 60, 62, None),
        ("function-load", 62, 95, None),
        ("dispatch", 95, 100, None),
    ]


def test_an_actor_by_its_states() -> None:
    spans = table(
        submit("si", 0, 1, submitted_task_id="I"), actor("init", 30, 50, "si", "I", function="A.__init__"),
        submit("s1", 2, 3, submitted_task_id="M1"), actor("m1", 62, 80, "s1", "M1"),
        submit("s2", 4, 5, submitted_task_id="M2"), actor("m2", 90, 95, "s2", "M2"),
        recorded=True,
    )  # fmt: skip
    states = [
        attempt("I", assigned=2, running=20, profile=profile(21, 25, 28)),
        attempt("M1", args=3, assigned=4, sent=60, running=61, actor_id="X"),
        attempt("M2", args=5, assigned=6, sent=60, running=84, actor_id="X"),
    ]
    events = event_table(states)
    assert pieces(spans, "init", events) == [
        ("dispatch", 1, 2, None),
        ("worker-start", 2, 20, None),
        ("function-load", 20, 28, None),
        ("dispatch", 28, 30, None),
    ]
    assert pieces(spans, "m1", events) == [
        ("dispatch", 3, 4, None),
        ("actor-start", 4, 60, "init"),
        ("dispatch", 60, 62, None),
    ]
    assert pieces(spans, "m2", events) == [
        ("dispatch", 5, 6, None),
        ("actor-start", 6, 60, "init"),
        ("actor-busy", 60, 80, "m1"),
        ("dispatch", 80, 90, None),
    ]


@pytest.mark.parametrize(("on_loop", "cause"), [("false", "function-load"), ("true", "unknown")])
def test_a_method_that_unpacks_its_arguments_for_long_without_a_profile(on_loop: str, cause: str) -> None:
    """A training function runs in a thread of the actor; on an event loop Ray says RUNNING before a call's turn."""
    turns = f'{{"raytrace.max_concurrency":1,"raytrace.on_event_loop":{on_loop}}}'
    spans = table(
        submit("s0", 0, MS, submitted_task_id="M0"), actor("m0", 10 * MS, 20 * MS, "s0", "M0", attributes=turns),
        run("thread", 15 * MS, 4000 * MS, "m0", "T", actor_id="X", worker_id="w", concurrent=True),
        submit("s", 30 * MS, 31 * MS, submitted_task_id="M"),
        actor("m", 900 * MS, 950 * MS, "s", "M", attributes=turns),
        recorded=True,
    )  # fmt: skip
    events = event_table([attempt("M", assigned=31 * MS, sent=31 * MS, running=36 * MS, actor_id="X")])
    assert pieces(spans, "m", events)[-1] == (cause, 36 * MS if on_loop == "false" else 31 * MS, 900 * MS, None)


def test_a_method_whose_arguments_are_fetched_by_its_actor() -> None:
    spans = table(submit("s", 0, 5, submitted_task_id="M"), actor("m", 90, 95, "s", "M"), recorded=True)
    stamps = '{"PENDING_ACTOR_TASK_ARGS_FETCH": 20, "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY": 70, "RUNNING": 80}'
    events = event_table([attempt("M", assigned=6, sent=6, running=80, actor_id="X", states=stamps)])
    assert pieces(spans, "m", events) == [
        ("dispatch", 5, 20, None),
        ("transfer", 20, 70, None),
        ("dispatch", 70, 90, None),
    ]


def test_the_delay_before_another_attempt_by_its_states() -> None:
    spans = table(
        submit("s0", 0, 1, submitted_task_id="A"),
        run("a0", 5, 30, "s0", "A", worker_id="w1", attempt=0, status="ERROR"),
        run("a1", 80, 90, "s0", "A", worker_id="w1", attempt=1),
        recorded=True,
    )
    events = event_table([attempt("A", 1, args=31, assigned=70, sent=72, running=75)])
    assert pieces(spans, "a1", events) == [("retry", 30, 70, "a0"), ("dispatch", 70, 80, None)]
    sources = queue_causes(spans, events).select("span_id", "source").unique().sort("span_id").rows()
    assert sources == [("a0", "spans"), ("a1", "task events")]


def test_a_restarted_actor_has_one_row_of_events_for_both_creations() -> None:
    spans = table(
        submit("si", 0, 1, submitted_task_id="I"),
        actor("init", 30, 50, "si", "I", function="A.__init__", attempt=0),
        actor("again", 80, 90, "si", "I", function="A.__init__", attempt=0, worker_id="wy"),
        recorded=True,
    )
    found = queue_causes(spans, event_table([attempt("I", assigned=2, running=20)]))
    assert dict(found.select("span_id", "source").rows()) == {"init": "task events", "again": "spans"}


def test_states_in_no_order_give_no_negative_pieces() -> None:
    found = with_events(args=500, assigned=90, sent=20, running=5, profile=profile(300, 1, 40))
    assert found[0][1] == 10
    assert found[-1][2] == 100
    assert all(start < end for _, start, end, _ in found)


# On the path


def test_the_walk_goes_on_through_who_held_the_slot_of_the_node_where_task_events_say_so() -> None:
    # a  [---------------]               worker 1
    # b      ............ [-------]      worker 2, which had been idle since 3
    # Without task events nothing tells that b waited for a; with them, b goes back to a.
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("so", 0, 1, "driver", submitted_task_id="O"), run("old", 2, 3, "so", "O", worker_id="w2"),
        submit("sa", 4, 5, "driver", submitted_task_id="A"), run("a", 6, 50, "sa", "A", worker_id="w1"),
        submit("sb", 9, 10, "driver", submitted_task_id="B"), run("b", 53, 90, "sb", "B", worker_id="w2"),
        wait("get", 11, 92, "driver", ["B"]),
        recorded=True,
    )  # fmt: skip
    events = event_table([attempt("B", args=10, assigned=10, sent=51, running=52)])
    alone, known = critical_path(spans).segments, critical_path(spans, events).segments
    assert "a" not in alone["span_id"].to_list()
    assert known.filter(span_id="a")["category"].to_list() == ["queue", "self"]
    assert known.filter(span_id="a", category="self")["via"].to_list() == ["slot"]
    shown = critical_path(spans, events, queues="show").segments.filter(span_id="b", category="queue")
    assert shown["cause"].to_list() == ["no-slot", "dispatch"]
    assert shown["cause_source"].to_list() == ["task events"] * 2
    # `stats` says the same of the path.
    assert latency_stats(spans, "worker", events).filter(worker="w1")["path_ns"].to_list() == [
        known.filter(worker_id="w1")["duration_ns"].sum()
    ]
    assert latency_stats(spans, "worker").filter(worker="w1")["path_ns"].to_list() == [0]


def test_a_wait_for_what_is_outside_the_scope_keeps_its_name() -> None:
    spans = table(
        submit("s0", 0, 1, trace_id="t0", submitted_task_id="A"),
        run("a", 10, 50, "s0", "A", trace_id="t0"),
        submit("s1", 2, 4, trace_id="t1", submitted_task_id="B", dependency_task_ids=["A"]),
        run("b", 58, 90, "s1", "B", trace_id="t1"),
        wait("get", 5, 91, None, ["B"], trace_id="t1"),
        recorded=True,
    )
    queue = critical_path(spans, trace="t1").segments.filter(category="queue")
    assert queue.select("cause", "cause_source").rows() == [("outside: a", None)]


def check_path(spans: pl.DataFrame, events: pl.DataFrame | None, **scope: Any) -> None:
    """Pieces tile their segments, and joined again they are what the walk finds without causes."""
    path = critical_path(spans, events, queues="show", **scope)
    segments = path.segments
    assert segments["duration_ns"].sum() == path.makespan_ns
    assert segments["start_ns"].to_list()[1:] == segments["end_ns"].to_list()[:-1]
    assert segments.is_empty() or segments["duration_ns"].min() > 0  # type: ignore[operator]
    queues = segments.filter(pl.col("category") == "queue")
    inside = queues.filter(~pl.col("cause").str.starts_with("outside: "))
    assert set(inside["cause"]) <= CAUSES
    assert set(inside["cause_source"]) <= {"task events", "spans"}
    other = segments.filter(pl.col("category") != "queue")
    assert other["cause_source"].null_count() == other.height
    columns = ("start_ns", "end_ns", "category", "span_id", "via", "inferred")
    plain = whole(critical_path(spans, queues="show", **scope).segments)
    assert whole(segments).select(columns).equals(plain.select(columns))
    same = pl.struct("span_id", "cause", "category")
    assert (
        not queues.select((same == same.shift()) & (pl.col("start_ns") == pl.col("end_ns").shift())).to_series().any()
    )


def check_frame(spans: pl.DataFrame, events: pl.DataFrame | None) -> None:
    """The pieces of each run are contiguous, from its submit (or the attempt before) to its start."""
    found = queue_causes(spans, events)
    assert found.is_empty() or found["duration_ns"].min() > 0  # type: ignore[operator]
    assert set(found["cause"]) <= CAUSES
    assert found["sentence"].null_count() == 0
    for _, group in found.group_by("span_id", "trace_id", "session", "job_id", "task_id", "function"):
        ordered = group.sort("start_ns")
        assert ordered["start_ns"].to_list()[1:] == ordered["end_ns"].to_list()[:-1]


def random_events(spans: pl.DataFrame, seed: int) -> pl.DataFrame:
    """States at any time and in any order for the tasks of a table."""
    choose = random.Random(seed)
    first, last = spans["start"].to_physical().min(), spans["start"].to_physical().max()
    assert isinstance(first, int)
    assert isinstance(last, int)
    rows = []
    for session, task in spans.select("session", "task_id").unique().sort("session", "task_id").rows():
        states = {
            name: choose.choice([None, choose.randint(first - 50, last + 50)])
            for name in ("args", "assigned", "sent", "running", "finished")
        }
        times = [choose.randint(first - 50, last + 50) for _ in range(3)]
        row = attempt(task, choose.choice([0, 1]), **states, profile=choose.choice([None, "5", profile(*times)]))
        rows.append(row | {"session": session})
    return event_table(rows)


@pytest.mark.parametrize("seeds", [5, pytest.param(80, marks=pytest.mark.slow)])
def test_nonsense_is_tiled_whatever_the_clocks_say(seeds: int) -> None:
    for seed in range(seeds):
        spans = random_table(seed, 25)
        for events in (None, random_events(spans, seed)):
            check_frame(spans, events)
            check_path(spans, events)


@pytest.mark.parametrize("seeds", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_simulated_programs_are_tiled(seeds: int) -> None:
    for seed in range(seeds):
        program = observe(seed)
        for events in (None, program.task_events):
            check_frame(program.spans, events)
            check_path(program.spans, events)
        check_path(simulate(seed).stock_spans, None)


@pytest.mark.parametrize("capture", spread(5, sorted(path.parent.name for path in SAMPLES.glob("*/truth.json"))))
def test_captures_are_tiled(capture: str) -> None:
    found = load([SAMPLES / capture / "spans"])
    for events in (None, found.task_events):
        check_frame(found.spans, events)
        check_path(found.spans, events)
    paths = critical_paths(found.spans, found.task_events)
    alone = critical_path(found.spans, found.task_events)
    assert paths.drop("scope", "session").equals(alone.segments)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(NoSpansError):
        queue_causes(table(span("a", 0, 1)).clear())


# What is known to be true


def told_right(program: Observed, events: pl.DataFrame | None) -> Iterator[tuple[str, str, int]]:
    """For each stretch of each task's wait: what it truly was for, what is told, and how long."""
    found = queue_causes(program.spans, events).with_columns(pl.col("attempt").fill_null(0))
    by_attempt = found.partition_by("task_id", "attempt", as_dict=True)
    for key, truth in program.truth.items():
        told = by_attempt.get(key)
        if told is None or told["end_ns"].max() != truth.started:
            continue
        start = told["start_ns"][0]
        cuts = sorted({truth.ready, truth.granted, truth.started, *told["start_ns"], *told["end_ns"]})
        for low, high in pairwise(cuts):
            piece = told.filter(pl.col("start_ns") <= low, pl.col("end_ns") >= high)
            cause = piece["cause"]
            if low >= start and len(cause):
                way = "worker-start" if truth.is_new_worker else "dispatch"
                true = "before" if low < truth.ready else "no-slot" if low < truth.granted else way
                before = cause[0] in ("dependency", "retry")
                told_as = "before" if before and true == "before" else cause[0]
                if told_as == "slot-start":
                    # Of actors the truth does not tell when they were given their slots.
                    is_actor = str(piece["holder_function"][0]).endswith("__init__")
                    starts = is_actor or any(_is_starting(other, low) for other in program.truth.values())
                    told_as = "no-slot" if starts else told_as
                yield true, told_as, high - low


def _is_starting(truth: Any, time: int) -> bool:
    return bool(truth.is_new_worker and truth.granted <= time < truth.started)


@counted(20, 40)
@pytest.mark.parametrize("knows_states", [True, False])
def test_what_tasks_of_simulated_programs_waited_for(knows_states: bool, count: int) -> None:
    right: dict[str, int] = {}
    total: dict[str, int] = {}
    for seed in range(count):
        program = observe(seed)
        for true, told, duration in told_right(program, program.task_events if knows_states else None):
            total[true] = total.get(true, 0) + duration
            right[true] = right.get(true, 0) + (duration if told == true else 0)
    shares = {cause: right[cause] / total[cause] for cause in total}
    # Whether a new process was waited for, or a slot before it, is not in the spans of anybody else.
    assert shares["before"] == 1 if knows_states else shares["before"] > 0.85
    assert shares["no-slot"] > 0.75
    assert shares["worker-start"] > 0.7
    assert shares["dispatch"] > 0.75


def of_capture(capture: str) -> pl.DataFrame:
    found = load([SAMPLES / capture / "spans"])
    return queue_causes(found.spans, found.task_events)


def longest(causes: pl.DataFrame, function: str) -> set[str]:
    """The causes that were the longest of some run of a function."""
    of = causes.filter(pl.col("function").str.ends_with(function))
    return set(of.sort("duration_ns").unique("span_id", keep="last", maintain_order=True)["cause"])


def test_captures_tell_what_their_programs_were_written_for() -> None:
    assert longest(of_capture("map_reduce-ours"), "reduce_pair") == {"dependency"}
    assert "slot-start" in longest(of_capture("map_reduce-ours"), "map_part")
    pipeline = of_capture("actor_pipeline-ours")
    assert "actor-start" in longest(pipeline, "Loader.load")
    assert set(pipeline.filter(function="Writer.write")["cause"]) >= {"dependency", "actor-start", "actor-busy"}
    failures = of_capture("failures-ours").filter(pl.col("attempt") > 0)
    assert longest(failures, "download") == {"retry"}
    assert set(failures.filter(cause="retry")["holder_span_id"].is_not_null()) == {True}
