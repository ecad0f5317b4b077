"""Span tables at random of an actor whose methods wait for each other, on an event loop or in threads."""

import json
import random

import polars as pl

from tests.random_spans import Row, span_table

_AWAITED = ("asyncio.Event.wait", "threading.Event.wait", "threading.Event.wait", "compiled graph to end")


def random_wakers(seed: int) -> pl.DataFrame:
    """Make the table of a driver and a method that waits for others, which end at about the end of its own wait."""
    chosen = random.Random(seed)
    went_on = chosen.randint(20, 40)
    ends = [went_on + chosen.randint(-7, 5) for _ in range(chosen.randint(1, 3))]
    methods = [(2, went_on + chosen.choice((0, 1, 2, 9))), *((end - chosen.randint(1, 9), end) for end in ends)]
    rows = [
        _span("d", None, 0, 60, category="driver", name="ray.driver", pid=1),
        _span("get", "d", 2, 55, category="wait", name="ray.get", ready_task_ids=["0"], pid=1),
    ]
    for number, (start, end) in enumerate(methods):
        submitted = {"kind": "PRODUCER", "category": "submit", "submitted_task_id": f"{number}", "pid": 1}
        run = {"kind": "CONSUMER", "category": "task", "task_id": f"{number}", "concurrent": True, "actor_id": "a"}
        rows += [
            _span(f"s{number}", "d", 1, 1, **submitted),
            _span(f"r{number}", f"s{number}", start, end, **run, pid=100),
        ]
        if number == 0 or chosen.random() < 0.3:
            begin = chosen.randint(start, end - 1)
            awaited = chosen.choice(_AWAITED)
            told = {"raytrace.awaited": awaited} | (
                {"raytrace.sampled_times": True} if awaited.startswith("threading") else {}
            )
            about = {"name": "await", "ready_task_ids": [], "category": "wait", "attributes": json.dumps(told)}
            until = went_on if number == 0 else chosen.randint(begin, end)
            rows.append(_span(f"a{number}", f"r{number}", begin, until, **about, actor_id="a", pid=100))
    scale = chosen.choice((2_000_000, 20_000_000))
    for row in rows:
        row["start"], row["end"] = row["start"] * scale, row["end"] * scale
    return span_table(rows)


def _span(span_id: str, parent: str | None, start: int, end: int, **columns: object) -> Row:
    same = {"session": "s1", "job_id": "j1", "node_id": "n1", "records_waits": True}
    return {"span_id": span_id, "parent_id": parent, "start": start, "end": end, **same, **columns}


def random_room(seed: int) -> pl.DataFrame:
    """Make the table of a driver that waits for a placement group, and of tasks that end at about the time it comes."""
    chosen = random.Random(seed)
    there = chosen.randint(50, 80)
    told = {"raytrace.awaited": chosen.choice(("placement group (1 CPU)",) * 5 + ("consumer",))}
    if chosen.random() < 0.1:
        told["raytrace.timed_out"] = True
    about = {"name": "placement_group.wait", "ready_task_ids": [], "category": "wait", "attributes": json.dumps(told)}
    rows = [
        _span("d", None, 0, 100, category="driver", name="ray.driver", pid=1),
        _span("w", "d", chosen.randint(1, 40), there, **about, pid=1),
    ]
    for number in range(chosen.randint(1, 4)):
        asked = json.dumps({"raytrace.resources": chosen.choice(('{"CPU": 1}', '{"slot": 1}', "{}", '{"CPU": 0}'))})
        submitted = {"kind": "PRODUCER", "category": "submit", "submitted_task_id": f"{number}", "pid": 1}
        run = {"kind": "CONSUMER", "category": "task", "task_id": f"{number}", "pid": 2 + number}
        end = there - chosen.choice((*range(-2, 20), 60))
        rows += [
            _span(f"s{number}", "d", 1, 1, **submitted, attributes=chosen.choice((asked, asked, "{}"))),
            _span(f"r{number}", f"s{number}", chosen.randint(2, max(end - 1, 3)), max(end, 4), **run),
        ]
        if chosen.random() < 0.3:
            removed, about = chosen.randint(2, max(end, 4)), {"name": "placement_group.remove", "pid": 2 + number}
            rows.append(_span(f"x{number}", f"r{number}", removed, removed, **about))
    for row in rows:
        row["start"], row["end"] = row["start"] * 50_000_000, row["end"] * 50_000_000
    return span_table(rows)
