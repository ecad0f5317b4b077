"""The walk, worked out by hand: each program is drawn, so that the expected chain can be checked by eye."""

import json

import polars as pl
import pytest

from raytrace_analyze import CriticalPath, UsageError, critical_path
from raytrace_analyze.views.paths.segment_endings import with_endings
from raytrace_analyze.views.paths.segment_words import say
from tests import oracle
from tests.tables import Row, chain, run, span, submit, table, wait


def test_a_wait_in_vain_for_an_actor_that_is_being_created_leads_to_its_creation() -> None:
    """
    driver  [m][c][vain .......][own==========][get]
    i                ..........[===]                    the actor is being created while the driver asks in vain
    r                                 [==]
    """
    asked = json.dumps({"raytrace.timed_out": True, "raytrace.awaited_task_ids": ["C"]})
    of_actor = {"actor_id": "a", "worker_id": "w", "pid": 7}
    spans = table(
        span("driver", 0, 110, name="ray.driver"),
        submit("m", 1, 2, "driver", submitted_task_id="M", function="A.__init__", actor_id="a"),
        submit("c", 3, 4, "driver", submitted_task_id="C", function="A.call", actor_id="a"),
        run("i", 60, 80, "m", "M", function="A.__init__", **of_actor),
        run("r", 90, 95, "c", "C", function="A.call", **of_actor),
        wait("vain", 5, 50, "driver", [], name="ray.wait", attributes=asked),
        span("own", 50, 98, "driver"),
        wait("get", 98, 100, "driver", ["C"]),
        recorded=True,
    )
    found = chain(critical_path(spans).segments)
    assert ("i", 2, 50, "queue") in found and ("own", 50, 98, "self") in found


def test_nested_spans_the_last_child_to_end_is_on_the_path() -> None:
    #      0         10        20        30
    # root [-----------------------------]
    # a      [-------]                       ended before b did
    # b           [-----------]
    spans = table(span("root", 0, 30), span("a", 2, 10, "root"), span("b", 6, 18, "root"))
    assert chain(critical_path(spans).segments) == [
        ("root", 0, 6, "self"),
        ("b", 6, 18, "self"),
        ("root", 18, 30, "self"),
    ]


def test_touching_siblings_are_both_on_the_path() -> None:
    # root [--------------------]
    # a      [-----]
    # b             [------]
    spans = table(span("root", 0, 20), span("a", 2, 8, "root"), span("b", 8, 15, "root"))
    assert [row[0] for row in chain(critical_path(spans).segments)] == ["root", "a", "b", "root"]


def test_child_is_clipped_to_its_parent() -> None:
    # root      [--------]
    # late  ..      [-----------]   runs on after its parent
    # early [------]                starts before it
    spans = table(span("root", 10, 20), span("late", 16, 30, "root"), span("early", 4, 14, "root"))
    path = critical_path(spans)
    assert chain(path.segments) == [
        ("early", 10, 14, "self"),
        ("root", 14, 16, "self"),
        ("late", 16, 20, "self"),
    ]
    assert path.makespan_ns == 10


def test_detached_child_is_on_no_path_and_reported() -> None:
    # root [-----]
    # gone          [----]   starts after its parent has ended
    path = critical_path(table(span("root", 0, 10), span("gone", 12, 20, "root")))
    assert chain(path.segments) == [("root", 0, 10, "self")]
    assert path.notes == ("1 span outside the span it belongs to, left out",)


@pytest.mark.parametrize("is_created", [False, True])
def test_a_submission_after_the_end_of_what_it_lies_in_was_made_in_nobody_knows_what(is_created: bool) -> None:
    # driver  [s][get][~~~~~~~~~ idle ~~~~~~~~~~~][get ............]-]
    # start   ...[==]                                 leaves a task of its own behind on the event loop,
    # left           [s, a while later, at 60]        which submits a call on an actor
    # actor          [== created, 20 to 50 ==]
    # call           ..........[= 65 to 90 =]         (nobody is known to have waited for it but the driver)
    actor = {"actor_id": "a"} if is_created else {}
    rows = [
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 0, 2, "driver", submitted_task_id="start"),
        run("start", 5, 10, "s", "start"),
        wait("get", 2, 10, "driver", ["start"]),
        submit("left", 60, 62, "start", submitted_task_id="call"),
        run("call", 65, 90, "left", "call", **actor),
        wait("got", 70, 95, "driver", ["call"]),
        submit("c", 11, 12, "driver", submitted_task_id="made"),
        run("made", 20, 50, "c", "made", actor_id="a", function="A.__init__"),
    ]
    spans = table(*rows, recorded=True)
    before = [("s", 0, 2, "submit"), ("start", 2, 5, "queue"), ("start", 5, 10, "self"), ("driver", 10, 11, "self")]
    # What made the actor may have been looked for before the submission.
    made = [("made", 12, 20, "queue"), ("made", 20, 50, "self"), ("call", 50, 65, "queue")]
    unknown = [("driver", 12, 60, "self"), ("call", 60, 65, "queue")]
    after = [("call", 65, 90, "self"), ("got", 90, 95, "fetch"), ("driver", 95, 100, "self")]
    assert critical_path(spans).notes == ()
    path = chain(critical_path(spans).segments)
    assert path == [*before, ("c", 11, 12, "submit"), *(made if is_created else unknown), *after]
    by_definition = oracle.critical_path(spans, scope_id="01").segments
    assert path == [(one.span_id, one.start_ns, one.end_ns, one.category) for one in by_definition]


def get_of_one_task(**options: object) -> list[tuple[str | None, int, int, str]]:
    # driver [s]              [get.............]---]
    # run         ......[===============]
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 5, 10, "driver", submitted_task_id="T"),
        run("r", 30, 80, "s", "T"),
        wait("get", 20, 85, "driver", ["T"]),
        recorded=True,
    )
    return chain(critical_path(spans, **options).segments)  # type: ignore[arg-type]


def test_a_get_leads_to_the_run_and_on_to_its_submit() -> None:
    assert get_of_one_task() == [
        ("driver", 0, 5, "self"),
        ("s", 5, 10, "submit"),
        ("r", 10, 30, "queue"),
        ("r", 30, 80, "self"),
        ("get", 80, 85, "fetch"),
        ("driver", 85, 100, "self"),
    ]


def test_what_is_recorded_needs_no_inference() -> None:
    assert get_of_one_task(infer=False) == get_of_one_task()


def test_a_dependency_that_is_no_ancestor_is_on_the_path() -> None:
    # driver [s1][s2]  [get of B.................]
    # A           [============]
    # B                          ..[====]           takes A's result
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s1", 2, 4, "driver", submitted_task_id="A"),
        submit("s2", 6, 8, "driver", submitted_task_id="B", dependency_task_ids=["A"]),
        run("a", 20, 60, "s1", "A"),
        run("b", 70, 90, "s2", "B"),
        wait("get", 10, 92, "driver", ["B"]),
        recorded=True,
    )
    path = critical_path(spans)
    assert chain(path.segments) == [
        ("driver", 0, 2, "self"),
        ("s1", 2, 4, "submit"),
        ("a", 4, 20, "queue"),
        ("a", 20, 60, "self"),
        ("b", 60, 70, "queue"),
        ("b", 70, 90, "self"),
        ("get", 90, 92, "fetch"),
        ("driver", 92, 100, "self"),
    ]
    assert path.segments.filter(span_id="a")["via"].to_list() == ["dependency", "dependency"]
    assert not path.segments["inferred"].any()


def test_a_retry_leads_to_the_attempt_before() -> None:
    # driver [s] [get.......................]
    # run 0     ..[====] failed
    # run 1                ....[======]
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="A"),
        run("a0", 10, 30, "s", "A", status="ERROR", attempt=0),
        run("a1", 50, 80, "s", "A", attempt=1),
        wait("get", 6, 82, "driver", ["A"]),
        recorded=True,
    )
    assert [(row[0], row[3]) for row in chain(critical_path(spans).segments)] == [
        ("driver", "self"), ("s", "submit"), ("a0", "queue"), ("a0", "self"),
        ("a1", "queue"), ("a1", "self"), ("get", "fetch"), ("driver", "self"),
    ]  # fmt: skip


def serial_actor(queues: str) -> list[tuple[str | None, int, int, str]]:
    # driver [c][s1][s2]    [get of both.................]
    # init        [==]
    # m1               [==========]
    # m2                           [========]    waited for its turn
    on_actor = {"actor_id": "X", "worker_id": "w", "pid": 7}
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("c", 1, 2, "driver", submitted_task_id="C", function="Cls.__init__"),
        submit("s1", 3, 4, "driver", submitted_task_id="M1"),
        submit("s2", 5, 6, "driver", submitted_task_id="M2"),
        run("init", 10, 20, "c", "C", function="Cls.__init__", **on_actor),
        run("m1", 25, 50, "s1", "M1", function="Cls.m", **on_actor),
        run("m2", 52, 80, "s2", "M2", function="Cls.m", **on_actor),
        wait("get", 8, 85, "driver", ["M1", "M2"]),
        recorded=True,
    )
    return chain(critical_path(spans, queues=queues).segments)


def test_queues_follow_what_held_the_actor() -> None:
    assert [row[0] for row in serial_actor("follow")] == [
        "driver", "c", "init", "init", "m1", "m1", "m2", "m2", "get", "driver",
    ]  # fmt: skip


def test_queues_show_keeps_the_wait_but_not_behind_the_creation() -> None:
    assert serial_actor("show") == [
        ("driver", 0, 1, "self"),
        ("c", 1, 2, "submit"),
        ("init", 2, 10, "queue"),
        ("init", 10, 20, "self"),
        ("m2", 20, 52, "queue"),
        ("m2", 52, 80, "self"),
        ("get", 80, 85, "fetch"),
        ("driver", 85, 100, "self"),
    ]


def unrecorded_map_reduce() -> pl.DataFrame:
    # Each call is a trace of its own, nothing says that c needs a and b.
    # driver [sa][sb][sc]
    # a           [=====]
    # b           [=================]
    # c                              [====]
    return table(
        submit("sa", 0, 2, trace_id="1"),
        submit("sb", 3, 5, trace_id="2"),
        submit("sc", 6, 8, trace_id="3"),
        run("a", 20, 40, "sa", "A", trace_id="1"),
        run("b", 21, 90, "sb", "B", trace_id="2"),
        run("c", 95, 110, "sc", "C", trace_id="3", function="reduce"),
    )


def test_unrecorded_spans_are_joined_by_inference_and_marked() -> None:
    path = critical_path(unrecorded_map_reduce())
    assert chain(path.segments) == [
        ("sa", 0, 2, "submit"),
        (None, 2, 3, "self"),
        ("sb", 3, 5, "submit"),
        ("b", 5, 21, "queue"),
        ("b", 21, 90, "self"),
        ("c", 90, 95, "queue"),
        ("c", 95, 110, "self"),
    ]
    assert path.segments.filter(category="self", span_id="b")["inferred"].to_list() == [True]
    assert path.segments["function"].to_list()[1] == "(driver)"


def test_without_inference_an_unrecorded_run_is_on_no_path() -> None:
    path = critical_path(unrecorded_map_reduce(), infer=False)
    assert path.makespan_ns == 110
    assert not set(path.segments["span_id"]) & {"a", "b", "c"}


def test_a_task_scope_starts_at_its_submit() -> None:
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 5, 10, "driver", submitted_task_id="T"),
        run("r", 30, 80, "s", "T", function="mod.work"),
        recorded=True,
    )
    path = critical_path(spans, task="work")
    assert (path.start_ns, path.end_ns) == (5, 80)
    assert chain(path.segments) == [("s", 5, 10, "submit"), ("r", 10, 30, "queue"), ("r", 30, 80, "self")]


def test_a_span_that_never_ended_ends_with_its_process() -> None:
    # driver [s].............   killed: the last that is known of it is at 50
    spans = table(span("driver", 0, None, name="ray.driver"), span("a", 10, 50, "driver"), recorded=True)
    path = critical_path(spans)
    assert path.makespan_ns == 50
    assert "never ended" in path.notes[0]


def test_parents_in_a_circle_are_cut_and_reported() -> None:
    path = critical_path(table(span("a", 0, 10, "b"), span("b", 2, 8, "a"), span("c", 3, 5, "c")))
    assert path.segments["duration_ns"].sum() == path.makespan_ns == 10
    assert any("circle of parents" in note for note in path.notes)


def test_a_thread_without_context_is_adopted_by_the_task_it_runs_in() -> None:
    # run    [===================]
    # lost       [submit]            no parent, but the task id and process of the run
    spans = table(
        submit("s", 0, 5, submitted_task_id="T"),
        run("r", 10, 50, "s", "T", pid=9),
        submit("lost", 20, 30, None, trace_id="u", task_id="T", pid=9, submitted_task_id="U"),
        wait("get", 6, 60, None, ["T"]),
        recorded=True,
    )
    assert ("lost", 20, 30, "submit") in chain(critical_path(spans).segments)


@pytest.mark.parametrize("scope", [{"job": "99"}, {"trace": "nope"}, {"task": "nope"}, {"job": "01", "trace": "t"}])
def test_an_unknown_scope_is_a_usage_error(scope: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        critical_path(table(span("a", 0, 1)), **scope)  # type: ignore[arg-type]


def test_equal_job_ids_of_two_sessions_are_two_jobs() -> None:
    spans = table(span("a", 0, 10), span("b", 0, 30, session="z", trace_id="u"))
    assert critical_path(spans).makespan_ns == 30
    with pytest.raises(UsageError, match=r"s/01, z/01"):
        critical_path(spans, job="01")
    assert critical_path(spans, job="s/01").makespan_ns == 10


def test_work_is_what_runs_took_without_their_waits_side_by_side_or_nested() -> None:
    # run    [===============================]  0..100
    # get 1      [===========]                  10..50, in a thread
    # custom          [==============]          30..80
    # get 2              [========]             40..70, within it, side by side with get 1
    spans = table(
        run("r", 0, 100, None, "T"),
        wait("get1", 10, 50, "r", []),
        span("custom", 30, 80, "r"),
        wait("get2", 40, 70, "custom", []),
        recorded=True,
    )
    assert critical_path(spans).work_ns == 100 - 60


def signal_actor() -> pl.DataFrame:
    # driver  [sw][ss]    [get of W.......................................]
    # W            [=][await Event.wait ..................][=]
    # S                                               [==]              sets the event
    # R                   [===]                                         another method, long before
    ms = 1_000_000
    on_actor = {"actor_id": "X", "worker_id": "w", "pid": 7, "concurrent": True}
    event = {"name": "await", "attributes": '{"raytrace.awaited": "asyncio.Event.wait"}'}
    return table(
        span("driver", 0, 100 * ms, name="ray.driver"),
        submit("sw", 1 * ms, 2 * ms, "driver", submitted_task_id="W"),
        submit("sr", 2 * ms, 3 * ms, "driver", submitted_task_id="R"),
        submit("ss", 50 * ms, 51 * ms, "driver", submitted_task_id="S"),
        run("w", 5 * ms, 70 * ms, "sw", "W", **on_actor),
        wait("event", 6 * ms, 64 * ms, "w", [], **event),
        run("r", 7 * ms, 9 * ms, "sr", "R", **on_actor),
        run("s", 60 * ms, 62 * ms, "ss", "S", **on_actor),
        wait("get", 52 * ms, 72 * ms, "driver", ["W"]),
        recorded=True,
    )


def test_a_suspended_method_goes_on_because_of_what_ran_on_its_event_loop_before() -> None:
    ms = 1_000_000
    path = critical_path(signal_actor())
    assert [(name, start // ms, end // ms, what) for name, start, end, what in chain(path.segments)] == [
        ("driver", 0, 1, "self"), ("sw", 1, 2, "submit"), ("sr", 2, 3, "submit"), ("driver", 3, 50, "self"),
        ("ss", 50, 51, "submit"), ("s", 51, 60, "queue"), ("s", 60, 62, "self"), ("event", 62, 64, "fetch"),
        ("w", 64, 70, "self"), ("get", 70, 72, "fetch"), ("driver", 72, 100, "self"),
    ]  # fmt: skip
    assert path.segments.filter(span_id="s")["via"].to_list() == ["waker", "waker"]


def test_a_thread_goes_on_because_of_the_run_that_ended_about_then_on_its_actor() -> None:
    # w [=][~~~ Event.wait, as far as was seen ~~~][=]      "s" ends 20 ms after the wait was last seen
    # s                                      [=======]
    ms = 1_000_000
    told = json.dumps({"raytrace.awaited": "threading.Event.wait", "raytrace.sampled_times": True})
    on_actor = {"actor_id": "a", "concurrent": True}
    path = critical_path(
        table(
            span("driver", 0, 1000 * ms, name="ray.driver"),
            submit("sw", 1 * ms, 2 * ms, "driver", submitted_task_id="W"),
            submit("ss", 3 * ms, 4 * ms, "driver", submitted_task_id="S"),
            run("w", 5 * ms, 900 * ms, "sw", "W", **on_actor),
            wait("event", 20 * ms, 860 * ms, "w", [], name="await", attributes=told),
            run("s", 10 * ms, 880 * ms, "ss", "S", **on_actor),
            wait("get", 6 * ms, 900 * ms, "driver", ["W"]),
            recorded=True,
        )
    )
    took = dict(path.segments.group_by("span_id").agg(pl.col("duration_ns").sum() // ms).iter_rows())
    assert took["s"] == 856  # from its submission until the other was seen to go on
    assert took["w"] == 40


def test_a_suspension_that_nothing_on_its_actor_ended_stays_a_wait() -> None:
    alone = signal_actor().filter(pl.col("span_id") != "s")
    waited = critical_path(alone).segments.filter(category="wait")
    assert waited["span_id"].to_list() == ["event"]
    assert say(waited.row(0, named=True)).startswith("f waits in asyncio.Event.wait")


def slow_consumer(item: int) -> CriticalPath:
    # driver [s]      [next]-------[next]---]    the second item was there long before it was asked for
    # gen        [==1=====2==================]
    items = '{"raytrace.items": 2, "raytrace.item_ready": "[30, 40]"}'
    told = {"name": "ray.next", "attributes": f'{{"raytrace.item": {item}}}'}
    return critical_path(
        table(
            span("driver", 0, 100, name="ray.driver"),
            submit("s", 2, 4, "driver", submitted_task_id="G"),
            run("g", 10, 90, "s", "G", attributes=items),
            wait("next", 25 if item == 0 else 70, 32 if item == 0 else 75, "driver", ["G"], **told),
            recorded=True,
        )
    )


def test_an_item_is_waited_for_until_it_was_ready() -> None:
    assert chain(slow_consumer(0).segments) == [
        ("driver", 0, 2, "self"), ("s", 2, 4, "submit"), ("g", 4, 10, "queue"), ("g", 10, 30, "self"),
        ("next", 30, 32, "fetch"), ("driver", 32, 100, "self"),
    ]  # fmt: skip


def test_an_item_that_was_ready_before_was_not_waited_for() -> None:
    assert "g" not in {row[0] for row in chain(slow_consumer(1).segments)}


def item_from_within_a_span(*, both: bool) -> pl.DataFrame:
    # driver  [s]      [next]--]
    # gen        [=============1=====]
    # own           [==get=====1===]      a span of the program, in which it waits, and gives the item
    # child    [s2]     [====]            what it waits for
    items = '{"raytrace.items": 2, "raytrace.item_ready": "[60, 70]"}'
    return table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="G"),
        run("g", 10, 90, "s", "G", attributes=items),
        span("own", 15, 85, "g", pid=3),
        *([span("other", 16, 86, "g", pid=3)] if both else []),
        submit("s2", 16, 18, "own", submitted_task_id="C"),
        run("c", 20, 55, "s2", "C"),
        wait("get", 20, 56, "own", ["C"]),
        wait("next", 25, 62, "driver", ["G"], name="ray.next", attributes='{"raytrace.item": 0}'),
        recorded=True,
    )


def test_an_item_comes_from_the_span_that_was_open_then() -> None:
    assert chain(critical_path(item_from_within_a_span(both=False)).segments) == [
        ("driver", 0, 2, "self"), ("s", 2, 4, "submit"), ("g", 4, 10, "queue"), ("g", 10, 15, "self"),
        ("own", 15, 16, "self"), ("s2", 16, 18, "submit"), ("c", 18, 20, "queue"), ("c", 20, 55, "self"),
        ("get", 55, 56, "fetch"), ("own", 56, 60, "self"), ("next", 60, 62, "fetch"), ("driver", 62, 100, "self"),
    ]  # fmt: skip
    # Of two that were open nobody says from which it came.
    assert ("g", 10, 60, "self") in chain(critical_path(item_from_within_a_span(both=True)).segments)


@pytest.mark.parametrize("is_open", [False, True])
def test_a_wait_that_timed_out_or_is_open_waited_for_what_it_did_not_get(is_open: bool) -> None:
    # driver [s]  [get, timed out ....]-----]
    # run        [=============================]
    late = '{"raytrace.awaited_task_ids": ["T"]' + (', "raytrace.timed_out": true}' if not is_open else "}")
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T"),
        run("r", 10, 95, "s", "T"),
        wait("get", 6, None if is_open else 80, "driver", [], attributes=late),  # type: ignore[arg-type]
        recorded=True,
    )
    until = 100 if is_open else 80
    assert ("r", 10, min(until, 95), "self") in chain(critical_path(spans).segments)


@pytest.mark.parametrize("is_asked_for_again", [True, False])
def test_a_wait_that_timed_out_while_what_it_asked_for_waited_to_start_waited_for_that(
    is_asked_for_again: bool,
) -> None:
    # driver [s]  [wait, timed out ....][===][get          ]-]
    # r            .......................... [============]      waits to start: the driver asked in vain until 40
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T"),
        run("r", 60, 90, "s", "T"),
        wait("vain", 6, 40, "driver", [],
             attributes='{"raytrace.awaited_task_ids": ["T"], "raytrace.timed_out": true}'),
        span("own", 40, 92, "driver"),
        *([wait("get", 92, 95, "driver", ["T"])] if is_asked_for_again else []),
        recorded=True,
    )  # fmt: skip
    waited = [("s", 2, 4, "submit"), ("r", 4, 40, "queue"), ("own", 40, 92, "self"), ("get", 92, 95, "wait")]
    # What was given up held up nobody: the wait took the time that it was given.
    gave_up = [("s", 2, 4, "submit"), ("driver", 4, 6, "self"), ("vain", 6, 40, "wait"), ("own", 40, 92, "self")]
    found = chain(critical_path(spans).segments)
    assert found[1:-1] == (waited if is_asked_for_again else gave_up)


def given_up(span_id: str, start: int, end: int, task: str) -> Row:
    """An `await` that the program gave up."""
    failed = {"status": "ERROR", "status_message": "CancelledError: cancelled", "name": "await"}
    return wait(span_id, start, end, "driver", [], attributes=f'{{"raytrace.awaited_task_ids": ["{task}"]}}', **failed)


def test_an_await_that_was_given_up_after_its_time_waited_for_what_it_asked_for() -> None:
    # driver [s]  [await, wait_for timed out ]----]
    # run        [====================================]
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T"),
        run("r", 10, 95, "s", "T"),
        given_up("await", 6, 80, "T"),
        recorded=True,
    )
    assert ("r", 10, 80, "self") in chain(critical_path(spans).segments)


def test_a_wait_that_ctrl_c_ended_waited_for_what_it_asked_for_and_nobody_works_beyond_the_end() -> None:
    # driver [s]  [get .................. ]--|    interrupted
    # run        [==================================]    ends after the driver
    stopped = {"status": "ERROR", "status_message": "KeyboardInterrupt: "}
    spans = table(
        span("driver", 0, 90, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T"),
        run("r", 10, 190, "s", "T"),
        wait("get", 6, 80, "driver", [], attributes='{"raytrace.awaited_task_ids": ["T"]}', **stopped),
        recorded=True,
    )
    path = critical_path(spans)
    assert ("r", 10, 80, "self") in chain(path.segments)
    assert path.work_ns == 80


def test_nothing_was_on_its_way_from_an_attempt_that_failed() -> None:
    # driver [s]  [get ..................... ]--|    timed out
    # run        [=====] failed                      and was not tried again
    late = '{"raytrace.awaited_task_ids": ["T"], "raytrace.timed_out": true}'
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T", function="work"),
        run("r", 10, 40, "s", "T", status="ERROR", error_type="NODE_DIED", function="work"),
        wait("get", 6, 90, "driver", [], attributes=late, name="ray.get"),
        recorded=True,
    )  # fmt: skip
    path = critical_path(spans)
    assert ("get", 40, 90, "wait") in chain(path.segments)
    told = [say(one) for one in with_endings(path.segments, spans).iter_rows(named=True)]
    assert any("waits in ray.get for work, which failed and did not run again" in text for text in told)


def test_a_wait_that_failed_for_a_call_which_never_ran_names_it() -> None:
    # driver [s][get .......... ]--|    fails: the actor was about to be created again
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T", function="Phoenix.ok"),
        wait("get", 6, 90, "driver", ["T"], name="ray.get", status="ERROR"),
        recorded=True,
    )
    told = [say(one) for one in with_endings(critical_path(spans).segments, spans).iter_rows(named=True)]
    assert any("waits in ray.get for Phoenix.ok, which never started" in text for text in told)


def test_what_a_program_that_was_stopped_waited_for_is_named_where_it_never_ended() -> None:
    # driver [s][get ...........x]|    stopped; the last sign of the call is from long before
    # put       [=.....
    spans = table(
        span("driver", 0, 1000, name="ray.driver"),
        submit("s", 2, 4, "driver", submitted_task_id="T", function="Queue.put"),
        run("r", 10, None, "s", "T", function="Queue.put", pid=7, worker_id="w"),
        span("sign", 12, 40, "r", pid=7, worker_id="w"),
        wait("get", 6, 990, "driver", ["T"], name="ray.get", status="ERROR"),
        recorded=True,
    )
    told = [say(one) for one in with_endings(critical_path(spans).segments, spans).iter_rows(named=True)]
    assert any("waits in ray.get for Queue.put, which never ended" in text for text in told)


@pytest.mark.parametrize("failed", [True, False])
def test_a_wait_that_was_broken_off_waited_for_what_had_not_come(failed: bool) -> None:
    # driver [s][s][get .............x]--    Ctrl-C; or a failed, and so did the wait
    # a         [====]
    # b         [========================]
    told = '{"raytrace.awaited_task_ids": ["B"]}'
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("sa", 1, 2, "driver", submitted_task_id="A", function="a"),
        submit("sb", 2, 3, "driver", submitted_task_id="B", function="b"),
        run("a", 5, 85 if failed else 30, "sa", "A", function="a", status="ERROR" if failed else "OK"),
        run("b", 5, 200, "sb", "B", function="b"),
        wait("get", 4, 90, "driver", ["A"], status="ERROR", attributes=told),
        recorded=True,
    )
    path = chain(critical_path(spans).segments)
    assert (("a", 5, 85, "self") in path) == failed
    assert (("b", 5, 90, "self") in path) != failed


def test_an_await_that_was_given_up_since_another_result_came_waited_for_that() -> None:
    # driver [s1][s2] [await first  ]|
    #                 [await second  ]|------]    given up right after
    # first       [==============]
    # second      [==================================]
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("s1", 2, 3, "driver", submitted_task_id="T1"),
        submit("s2", 3, 4, "driver", submitted_task_id="T2"),
        run("first", 10, 60, "s1", "T1"),
        run("second", 10, 95, "s2", "T2"),
        wait("await1", 6, 62, "driver", ["T1"], name="await"),
        given_up("await2", 6, 63, "T2"),
        recorded=True,
    )
    found = chain(critical_path(spans).segments)
    assert ("first", 10, 60, "self") in found
    assert "second" not in {span_id for span_id, *_ in found}


def test_a_call_of_an_actor_whose_creation_failed_was_waited_for_until_that_failed() -> None:
    # driver   [sA][sC][get: the actor died ]---]
    # creation     ....[=====]                      fails; the call never starts
    actor = "94fd93af264b502d623bc09201000000"
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        submit("sA", 2, 4, "driver", submitted_task_id="f" * 16 + actor, function="A.__init__"),
        run("made", 40, 70, "sA", "f" * 16 + actor, function="A.__init__", actor_id=actor, status="ERROR"),
        submit("sC", 4, 6, "driver", submitted_task_id="1e8ff6d236132784" + actor, function="A.work"),
        wait("get", 8, 75, "driver", ["1e8ff6d236132784" + actor], status="ERROR", status_message="ActorDiedError"),
        recorded=True,
    )
    found = chain(critical_path(spans).segments)
    assert ("made", 40, 70, "self") in found and ("get", 70, 75, "fetch") in found


def test_what_was_waited_for_in_vain_waited_itself() -> None:
    # driver    [s][get ..........................   stopped
    # consume       [=][s][get .......................   not over either
    # give                 [=][await asyncio.Queue.get ...........   never ended
    asked = {"raytrace.awaited_task_ids": ["1"]}, {"raytrace.awaited_task_ids": ["2"]}
    awaited = json.dumps({"raytrace.awaited": "asyncio.Queue.get"})
    spans = table(
        span("d", 0, 100, name="ray.driver", category="driver"),
        submit("s1", 1, 2, "d", submitted_task_id="1"),
        wait("w1", 2, None, "d", [], attributes=json.dumps(asked[0])),
        run("r1", 5, None, "s1", "1", pid=2),
        submit("s2", 10, 12, "r1", submitted_task_id="2", pid=2),
        wait("w2", 12, None, "r1", [], attributes=json.dumps(asked[1]), pid=2),
        run("r2", 15, None, "s2", "2", pid=3),
        wait("w3", 20, None, "r2", [], name="await", attributes=awaited, pid=3),
        span("alive", 89, 90, pid=2),
        span("alive too", 39, 40, pid=3),
        recorded=True,
    )
    found = chain(critical_path(spans).segments)
    assert ("w3", 20, 40, "wait") in found
    assert [each for each in found if each[0] == "w2"] == [("w2", 40, 90, "wait")]
    assert all(each[:1] != ("r1",) or each[2] - each[1] <= 7 for each in found)
