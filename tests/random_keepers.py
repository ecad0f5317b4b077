"""Span tables at random of actors that keep CPUs while they do nothing, and of tasks that wait for these."""

import json
import random

import polars as pl

from tests.random_spans import Row, span_table
from tests.simulated_events import event_table

_UNIT_NS = 50_000_000


def random_keepers(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make the table of a driver, its actors on a node of two CPUs, and tasks; and its task events."""
    chosen = random.Random(seed)
    rows = [_span("d", None, 0, 200, category="driver", name="ray.driver", pid=1)]
    events: list[Row] = []
    over = chosen.randint(40, 90)
    user = chosen.random() < 0.5
    if user:
        rows += _task("u", "d", chosen.randint(2, 6), over + chosen.choice((-1, -3, -9, 30)), '{"CPU": 0}')
    for actor in range(chosen.randint(1, 2)):
        owner = "ru" if user and chosen.random() < 0.5 else "d"
        rows += _actor(chosen, actor, owner, over)
        state = chosen.choice(("ACTOR_DEAD", "ACTOR_LET_GO", "ACTOR_LET_GO", None))
        told = {} if state is None else {"states": json.dumps({state: (over + chosen.choice((0, 0, 2))) * _UNIT_NS})}
        events.append(_event(f"c{actor}", 6, 8, 9, '{"CPU": 2}' if actor == 0 else '{"CPU": 1}') | told)
        if user and chosen.random() < 0.4:
            rows.append(_submit(f"k{actor}", "ru", chosen.randint(10, 30), actor_id=f"A{actor}"))
    for number in range(chosen.randint(1, 3)):
        asked, start = chosen.randint(12, 35), over + chosen.randint(1, 30)
        granted = start - chosen.choice((0, 1, 5))
        rows += _task(f"{number}", "d", asked, start + 10, '{"CPU": 1}', start=start)
        events.append(_event(f"{number}", asked, max(granted, asked), max(granted, asked), '{"CPU": 1}'))
    waits = [f"{number}" for number in range(3)]
    begin = chosen.choice((15, over - 8, over - 1, over + 1))
    about = {"category": "wait", "name": "ray.get", "ready_task_ids": waits, "pid": 1}
    rows.append(_span("get", "d", begin, 150, **about))
    for row in rows:
        row["start"], row["end"] = row["start"] * _UNIT_NS, row["end"] * _UNIT_NS
    return span_table(rows), event_table(events)


def _actor(chosen: random.Random, number: int, owner: str, over: int) -> list[Row]:
    name, about = f"A{number}", {"actor_id": f"A{number}", "pid": 100 + number, "worker_id": f"w{number}"}
    rows = [
        _submit(f"sc{number}", owner, 7, submitted_task_id=f"c{number}", actor_id=name),
        _run(f"rc{number}", f"sc{number}", 9, 10, f"c{number}", function="A.__init__", **about),
    ]
    if chosen.random() < 0.5:
        end = over - chosen.choice((0, 2, 20))
        rows += [
            _submit(f"sm{number}", owner, 8, submitted_task_id=f"m{number}", actor_id=name),
            _run(f"rm{number}", f"sm{number}", 11, end, f"m{number}", function="A.m", **about),
        ]
    for call in range(chosen.choice((0, 0, 1, 2))):
        at = over - chosen.choice((0, 0, 1, 10))
        rows.append(_span(f"kill{number}{call}", "d", at, at, name="ray.kill", actor_id=name, pid=1))
    return rows


def _task(name: str, owner: str, asked: int, end: int, demand: str, start: int | None = None) -> list[Row]:
    told = json.dumps({"raytrace.resources": demand})
    return [
        _submit(f"s{name}", owner, asked, submitted_task_id=name, attributes=told),
        _run(f"r{name}", f"s{name}", asked + 1 if start is None else start, end, name, pid=200, worker_id=f"v{name}"),
    ]


def _event(task: str, assigned: int, sent: int, running: int, demand: str) -> Row:
    times = {"pending_node_assignment": assigned, "submitted_to_worker": sent, "running": running}
    in_ns = {name: time * _UNIT_NS for name, time in times.items()}
    return {"session": "s1", "task_id": task, "attempt": 0, "resources": demand, **in_ns}


def _submit(span_id: str, parent: str, at: int, **columns: object) -> Row:
    return _span(span_id, parent, at, at, kind="PRODUCER", category="submit", pid=1, **columns)


def _run(span_id: str, parent: str, start: int, end: int, task: str, **columns: object) -> Row:
    return _span(span_id, parent, start, end, kind="CONSUMER", category="task", task_id=task, **columns)


def _span(span_id: str, parent: str | None, start: int, end: int, **columns: object) -> Row:
    same = {"session": "s1", "job_id": "j1", "node_id": "n1", "records_waits": True}
    return {"span_id": span_id, "parent_id": parent, "start": start, "end": end, **same, **columns}
