"""Span tables of asynchronous actors at random: methods that are suspended, and let each other go on."""

import json
import random
from typing import Any

import polars as pl

from tests.random_spans import Row, span_table

_AWAITED = ("asyncio.Event.wait", "asyncio.Queue.get", "asyncio.Event.wait", "asyncio.sleep")


def random_actors(seed: int) -> pl.DataFrame:
    """Make the table of a driver that calls methods of two actors, whose times are whatever comes."""
    chosen = random.Random(seed)
    scale = 1 if seed % 2 else 1_000_000
    calls = chosen.randint(2, 6)
    rows: list[Row] = [_span("d", None, 0, 80, category="driver", name="ray.driver", pid=1)]
    for number in range(calls):
        submit = {"kind": "PRODUCER", "category": "submit", "submitted_task_id": f"{number}"}
        run = {"kind": "CONSUMER", "category": "task", "task_id": f"{number}", "pid": 100, "concurrent": True}
        start = chosen.randint(2, 50)
        end = start + chosen.randint(1, 25)
        actor = {
            "actor_id": chosen.choice("xxy"),
            "attributes": _items(chosen, start, end),
            "job_id": chosen.choice(("j1", "j1", "j1", "j2")),
        }
        rows += [
            _span(f"s{number}", "d", start - 2, start - 1, **submit),
            _span(f"r{number}", f"s{number}", start, end, **run, **actor),
        ]
        del actor["attributes"]
        rows += [
            _wait(chosen, f"a{number}{each}", f"r{number}", chosen.randint(start - 1, end + 1), calls, **actor)
            for each in range(chosen.randint(0, 3))
        ]
    rows += [_wait(chosen, f"g{each}", "d", chosen.randint(0, 70), calls) for each in range(3)]
    for row in rows:
        about = json.loads(row.get("attributes", "{}"))
        if "raytrace.items" in about:
            times = [time * scale for time in json.loads(about["raytrace.item_ready"])]
            row["attributes"] = json.dumps(about | {"raytrace.item_ready": json.dumps(times)})
        row["start"] *= scale
        row["end"] = row["end"] if row["end"] is None else row["end"] * scale
    return span_table(rows)


def _wait(chosen: random.Random, span_id: str, parent: str, start: int, calls: int, **columns: Any) -> Row:
    end = chosen.choice((start + chosen.randint(1, 15),) * 9 + (None,))
    late: Row = {"raytrace.timed_out": chosen.choice((True, False)), "raytrace.awaited_task_ids": ["0", "1"]}
    told = chosen.choice(({}, late, {"raytrace.item": chosen.randrange(6)}, {}))
    ready = [str(chosen.randrange(calls))] if told is not late or chosen.random() < 0.5 else []
    about = {"ready_task_ids": ready, "name": "ray.get", "attributes": json.dumps(told)}
    if parent != "d" and chosen.random() < 0.8:
        awaited = {"raytrace.awaited": chosen.choice(_AWAITED)}
        about = {"ready_task_ids": [], "name": "await", "attributes": json.dumps(awaited)}
    return _span(span_id, parent, start, end, category="wait", pid=100, **about, **columns)


def _items(chosen: random.Random, start: int, end: int) -> str:
    """Say of half of the runs that they gave items, of which every second may be told."""
    times = sorted(chosen.randint(start - 1, end + 1) for _ in range(chosen.randint(1, 5)))
    every = chosen.choice((1, 2))
    told = {"raytrace.items": len(times), "raytrace.item_ready": json.dumps(times[::every])}
    return json.dumps(chosen.choice((told, {})))


def _span(span_id: str, parent: str | None, start: int, end: int | None, **columns: Any) -> Row:
    same = {"session": "s1", "job_id": "j1", "node_id": "n1", "records_waits": True}
    return {"span_id": span_id, "parent_id": parent, "start": start, "end": end, **same, **columns}
