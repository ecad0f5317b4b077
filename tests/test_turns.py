"""Calls of an actor wait for a turn: in their own group, on the event loop, or while all threads are taken."""

import json

import pytest

from raytrace_analyze import critical_path, queue_causes
from tests.tables import chain, run, span, submit, table, wait


def turn(limit: int, *, loop: bool = False, group: str | None = None) -> str:
    told = {"raytrace.max_concurrency": limit, "raytrace.on_event_loop": loop}
    return json.dumps(told | ({} if group is None else {"raytrace.concurrency_group": group}))


def test_a_call_waits_for_its_turn_within_its_own_group() -> None:
    # driver [s][s][s][get ................................]
    # load1       [==========]           group io, one at a time
    # load2                   [==========]
    # crunch         [================]  another group: in nobody's way
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        *(submit(f"s{n}", 2 * n, 2 * n + 1, "driver", submitted_task_id=f"T{n}") for n in (1, 2, 3)),
        run("load1", 10, 50, "s1", "T1", actor_id="A", worker_id="w", attributes=turn(1, group="io"), concurrent=True),
        run("load2", 51, 90, "s2", "T2", actor_id="A", worker_id="w", attributes=turn(1, group="io"), concurrent=True),
        run(
            "crunch", 11, 45, "s3", "T3", actor_id="A", worker_id="w", attributes=turn(2, group="cpu"), concurrent=True
        ),
        wait("get", 8, 95, "driver", ["T1", "T2", "T3"]),
        recorded=True,
    )
    path = chain(critical_path(spans).segments)
    assert ("load2", 50, 51, "queue") in path
    assert ("load1", 10, 50, "self") in path
    assert {span_id for span_id, *_ in path}.isdisjoint({"crunch"})
    causes = queue_causes(spans).filter(span_id="load2")
    assert causes.filter(cause="actor-busy")["holder_span_id"].to_list() == ["load1"]


def test_on_an_event_loop_only_what_executes_is_in_the_way() -> None:
    # a  [==[await sleep .................]==]      suspended for long: it lets b and c execute
    # b      [==========]
    # c                  [=====]                    had to wait for b
    actor = {"actor_id": "A", "worker_id": "w", "attributes": turn(1000, loop=True), "concurrent": True}
    pause = {"name": "await", "attributes": '{"raytrace.awaited": "asyncio.sleep"}'}
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        *(submit(f"s{n}", 2 * n, 2 * n + 1, "driver", submitted_task_id=f"T{n}") for n in (1, 2, 3)),
        run("a", 10, 90, "s1", "T1", **actor),
        wait("pause", 15, 85, "a", [], **pause),
        run("b", 16, 40, "s2", "T2", **actor),
        run("c", 41, 60, "s3", "T3", **actor),
        wait("get", 8, 65, "driver", ["T3"]),
        recorded=True,
    )
    path = chain(critical_path(spans).segments)
    assert ("c", 40, 41, "queue") in path
    assert ("b", 16, 40, "self") in path
    assert ("a", 10, 15, "self") in path  # it executed until it was suspended; then b had its turn
    causes = queue_causes(spans).filter(span_id="c", cause="actor-busy")
    assert causes["holder_span_id"].to_list() == ["b"]


@pytest.mark.parametrize("limit", [2, 3])
def test_threads_are_waited_for_only_while_all_of_them_are_taken(limit: int) -> None:
    # a  [==============]
    # b  [=====================]       c starts when a ends: it waited for a only if there are two threads
    # c                  [=====]
    actor = {"actor_id": "A", "worker_id": "w", "attributes": turn(limit), "concurrent": True}
    spans = table(
        span("driver", 0, 100, name="ray.driver"),
        *(submit(f"s{n}", 2 * n, 2 * n + 1, "driver", submitted_task_id=f"T{n}") for n in (1, 2, 3)),
        run("a", 10, 50, "s1", "T1", **actor),
        run("b", 10, 80, "s2", "T2", **actor),
        run("c", 51, 90, "s3", "T3", **actor),
        wait("get", 8, 95, "driver", ["T3"]),
        recorded=True,
    )
    path = chain(critical_path(spans).segments)
    assert (("a", 10, 50, "self") in path) == (limit == 2)
    held = queue_causes(spans).filter(span_id="c", cause="actor-busy")
    assert held["holder_span_id"].to_list() == (["a"] if limit == 2 else [])
