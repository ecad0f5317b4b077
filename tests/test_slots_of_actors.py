"""Who ended an actor whose slot a task waited for: the path goes on there, and the replay knows it."""

import json
import math
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import critical_path, prepare, queue_causes
from raytrace_analyze.replay.change import Change
from raytrace_analyze.replay.job import read_job
from raytrace_analyze.replay.passes.forward import replay
from tests.simulated_events import event_table
from tests.tables import Row, run, span, submit, table, wait

MS = 1_000_000
ONE_CPU = json.dumps({"raytrace.resources": '{"CPU": 1}'})


def program(*rows: Row, owner: str = "driver", over: dict[str, int] | None = None, get: int = 60) -> Any:
    """An actor on the one CPU of its node, and a task that waits for that; prepared.

    driver      [s][s]~~~~~~~~~~~~~~~[get ............]     from `get` on (ms)
    X.__init__    [-----]
    X.m                [--]
    b                .................[wwww][---------]      a new process from 500 on
    """
    events = [
        {"session": "s", "task_id": "I", "attempt": 0, "states": json.dumps({key: at * MS for key, at in over.items()})}
        for over in [over or {}]
    ]
    states = {"pending_node_assignment": 51 * MS, "submitted_to_worker": 500 * MS, "running": 580 * MS}
    events.append({"session": "s", "task_id": "B", "attempt": 0, "resources": '{"CPU": 1}', **states})
    spans = table(
        span("driver", 0, 900 * MS, name="ray.driver", category="driver"),
        submit("si", 0, 1 * MS, owner, submitted_task_id="I", actor_id="X", attributes=ONE_CPU),
        run("init", 10 * MS, 20 * MS, "si", "I", function="X.__init__", actor_id="X", worker_id="w"),
        submit("sm", 2 * MS, 3 * MS, "driver", submitted_task_id="M", actor_id="X"),
        run("m", 30 * MS, 40 * MS, "sm", "M", function="X.m", actor_id="X", worker_id="w"),
        submit("sb", 50 * MS, 51 * MS, "driver", submitted_task_id="B", function="b"),
        run("b", 600 * MS, 800 * MS, "sb", "B", function="b"),
        wait("get", get * MS, 810 * MS, "driver", ["B"]),
        *rows,
        recorded=True,
    )
    return prepare(spans, event_table(events))


def kill(at: int, parent: str = "driver") -> Row:
    return span("kill", at * MS, at * MS, parent, name="ray.kill", actor_id="X")


def came_by(trace: Any) -> tuple[str, int] | None:
    """The span that the path goes to from the task, and when, where that is by its slot."""
    path = critical_path(trace).segments
    led = path.filter(via="slot")
    return None if led.is_empty() else (led["span_id"][-1], led["end_ns"][-1] // MS)


def wins(trace: Any, function: str) -> int:
    job = read_job(trace)
    assert replay(job.graph).makespan_ns == job.makespan_ns
    return round((job.makespan_ns - replay(job.graph, Change({function: math.inf})).makespan_ns) / MS)


@pytest.mark.parametrize("over", [None, {"ACTOR_DEAD": 403}])
def test_a_call_that_killed_the_actor(over: dict[str, int] | None) -> None:
    trace = program(kill(400), over=over, get=410)
    assert came_by(trace) == ("driver", 400)
    assert wins(trace, "(driver)") > 400
    causes = queue_causes(trace).filter(span_id="b")
    assert causes["cause"].to_list()[:2] == ["no-slot", "worker-start"]
    assert causes["end_ns"][0] // MS == (403 if over else 400)


def test_a_driver_that_let_go_of_its_handle() -> None:
    trace = program(over={"ACTOR_LET_GO": 405}, get=401)
    assert came_by(trace) == ("driver", 401)
    assert wins(trace, "(driver)") > 300
    causes = queue_causes(trace).filter(span_id="b")
    assert causes["cause"].to_list()[:2] == ["no-slot", "worker-start"]


def test_nobody_is_named_where_nobody_is_known() -> None:
    # It died, nobody says of what; who might have let go of it had been waiting for long.
    assert came_by(program(over={"ACTOR_DEAD": 405}, get=401)) is None
    assert came_by(program(over={"ACTOR_LET_GO": 405}, get=60)) is None
    # Somebody else, who had a handle as well, went on.
    other = [
        submit("su", 5 * MS, 6 * MS, "driver", submitted_task_id="U", attributes='{"raytrace.resources": "{}"}'),
        run("u", 10 * MS, 700 * MS, "su", "U", function="u", node_id="n2"),
        submit("sn", 100 * MS, 101 * MS, "u", submitted_task_id="N", actor_id="X"),
    ]
    assert came_by(program(*other, over={"ACTOR_LET_GO": 405}, get=401)) is None


def test_a_run_that_had_the_last_handle() -> None:
    # user      [=============]         created the actor, which was over when it was
    user = [
        submit("su", 0, 1 * MS, "driver", submitted_task_id="U", attributes='{"raytrace.resources": "{}"}'),
        run("u", 0, 400 * MS, "su", "U", function="u", node_id="n2"),
    ]
    trace = program(*user, owner="u", over={"ACTOR_LET_GO": 402})
    assert came_by(trace) == ("u", 400)
    assert wins(trace, "u") > 300


def test_a_method_that_ended_its_actor() -> None:
    # X.quit   [========x]
    method = [
        submit("sq", 52 * MS, 53 * MS, "driver", submitted_task_id="Q", actor_id="X"),
        run("q", 60 * MS, 401 * MS, "sq", "Q", function="X.quit", actor_id="X", worker_id="w"),
    ]
    assert came_by(program(*method, over={"ACTOR_DEAD": 430})) == ("q", 401)
    trace = program(*method, kill(400, "q"), over={"ACTOR_DEAD": 450})
    assert came_by(trace) == ("q", 400)
    assert wins(trace, "X.quit") > 300


def test_other_slots_make_nobody_wait_for_the_actor() -> None:
    trace = program(kill(400), get=410)
    job = read_job(trace)
    for change in (Change(infinite_slots=True), Change(remove_queue=True), Change(slots=2)):
        assert replay(job.graph, change).makespan_ns < job.makespan_ns - 300 * MS


def test_tables_of_before_have_no_ends_of_actors() -> None:
    trace = program(kill(400), get=410)
    old = trace.table.drop("state_actor_dead", "state_actor_let_go")
    assert isinstance(old, pl.DataFrame)
    assert critical_path(old).segments.equals(critical_path(trace).segments)


def test_what_an_actor_had_is_free_once_its_process_has_ended() -> None:
    # The worker that b gets has been there since before: nothing else was waited for than that process.
    old = [
        submit("so", 2 * MS, 3 * MS, "driver", submitted_task_id="O"),
        run("o", 4 * MS, 9 * MS, "so", "O", worker_id="w-b"),
    ]
    causes = queue_causes(program(*old, kill(400), over={"ACTOR_DEAD": 403})).filter(span_id="b")
    assert causes.select("cause", "end_ns").row(0) == ("no-slot", 500 * MS)


def test_a_task_whose_slot_a_new_process_began_in() -> None:
    # hog   [==================]                  has the only CPU; each run has a process of its own (`max_calls=1`)
    # b        ................[loading][====]     from there to hog, though its process took long to start
    states = {"pending_node_assignment": 51 * MS, "submitted_to_worker": 401 * MS, "running": 580 * MS}
    hog = {"pending_node_assignment": 2 * MS, "submitted_to_worker": 3 * MS, "running": 4 * MS}
    spans = table(
        span("driver", 0, 900 * MS, name="ray.driver", category="driver"),
        submit("sh", 1 * MS, 2 * MS, "driver", submitted_task_id="H", function="hog"),
        run("h", 10 * MS, 400 * MS, "sh", "H", function="hog"),
        submit("sb", 50 * MS, 51 * MS, "driver", submitted_task_id="B", function="b"),
        run("b", 600 * MS, 800 * MS, "sb", "B", function="b"),
        wait("get", 60 * MS, 810 * MS, "driver", ["B"]),
        recorded=True,
    )
    known = [{"session": "s", "task_id": task, "attempt": 0, **told} for task, told in (("H", hog), ("B", states))]
    trace = prepare(spans, event_table(known))
    assert came_by(trace) == ("h", 400)
    assert wins(trace, "hog") > 300


@pytest.mark.parametrize("recorded", [True, False])
def test_a_slot_that_was_given_on_long_before_the_next_run_could_start(recorded: bool) -> None:
    """A busy machine.

    driver   [s][s][get ....................]
    a           [------]                          Ray sends b to the worker as soon as a is over
    b           ........~~~~~~~~~[------]         and its body starts 400 ms later
    """
    states = {"pending_node_assignment": 5 * MS, "submitted_to_worker": 205 * MS, "running": 590 * MS}
    events = [{"session": "s", "task_id": "B", "attempt": 0, "resources": '{"CPU": 1}', **states}]
    spans = table(
        span("driver", 0, 900 * MS, name="ray.driver", category="driver"),
        submit("sa", 0, 1 * MS, "driver", submitted_task_id="A", function="a"),
        run("a", 2 * MS, 200 * MS, "sa", "A", function="a", worker_id="w", pid=7),
        submit("sb", 2 * MS, 3 * MS, "driver", submitted_task_id="B", function="b"),
        run("b", 600 * MS, 800 * MS, "sb", "B", function="b", worker_id="w", pid=7),
        wait("get", 3 * MS, 810 * MS, "driver", ["B"]),
        recorded=recorded,
    )
    trace = prepare(spans, event_table(events))
    if recorded:
        assert came_by(trace) == ("a", 200)
    assert wins(trace, "a") > 190
