"""Span tables of asynchronous actors at random: methods that are suspended, and let each other go on."""

import json
import random
from typing import Any

import polars as pl

from tests.random_spans import Row, span_table

_TURNS: tuple[Row, ...] = (
    {},
    {"raytrace.max_concurrency": 2, "raytrace.on_event_loop": True},
    {"raytrace.max_concurrency": 2, "raytrace.on_event_loop": False},
    {"raytrace.max_concurrency": 1, "raytrace.concurrency_group": "io", "raytrace.on_event_loop": False},
)
_ERRORS = (None, None, "TASK_EXECUTION_EXCEPTION", "WORKER_DIED")
_AWAITED = ("asyncio.Event.wait", "asyncio.Queue.get", "asyncio.Event.wait", "asyncio.sleep")


def random_actors(seed: int) -> pl.DataFrame:
    """Make the table of a driver that calls methods of two actors, whose times are whatever comes."""
    chosen = random.Random(seed)
    scale = (1, 2_000_000, 20_000_000, 20_000_000)[seed % 4]
    calls = chosen.randint(2, 6)
    rows: list[Row] = [_span("d", None, 0, 80, category="driver", name="ray.driver", pid=1)]
    ends: list[tuple[int, int]] = []
    for number in range(calls):
        submit = {"kind": "PRODUCER", "category": "submit", "submitted_task_id": f"{number}"}
        run = {"kind": "CONSUMER", "category": "task", "task_id": f"{number}", "pid": 100, "concurrent": True}
        run |= {"status": chosen.choice(("OK", "ERROR")), "error_type": chosen.choice(_ERRORS)}
        submitted = chosen.randint(2, 45)
        start = submitted + chosen.randint(1, 12)
        end = start + chosen.randint(1, 25)
        ends.append((start, end))
        actor = {
            "actor_id": chosen.choice("xxy"),
            "attributes": json.dumps(json.loads(_items(chosen, start, end)) | chosen.choice(_TURNS)),
            "job_id": chosen.choice(("j1", "j1", "j1", "j2")),
        }
        rows += [
            _span(f"s{number}", _submitter(chosen, ends, submitted), submitted - 1, submitted, **submit),
            _span(f"r{number}", f"s{number}", start, end, **run, **actor),
        ]
        del actor["attributes"]
        rows += [
            _wait(chosen, f"a{number}{each}", f"r{number}", chosen.randint(start - 1, end + 1), calls, **actor)
            for each in range(chosen.randint(0, 3))
        ]
        rows += [_held_back(chosen, f"h{number}{each}", f"r{number}", start, **actor) for each in range(2)]
    rows += [_wait(chosen, f"g{each}", "d", chosen.randint(0, 70), calls) for each in range(3)]
    rows += [_call_to_end(chosen, f"e{each}", calls) for each in range(3)]
    flows = ["d", *(f"r{number}" for number in range(calls))]
    rows += [_step(chosen, f"c{each}", chosen.choice(flows)) for each in range(chosen.randint(0, 3))]
    rows += [row for each in range(4) for row in _idle_wait(chosen, f"i{each}", chosen.choice(flows + ["d"] * 4), ends)]
    for row in rows:
        about = json.loads(row.get("attributes", "{}"))
        if "raytrace.items" in about:
            times = [time * scale for time in json.loads(about["raytrace.item_ready"])]
            row["attributes"] = json.dumps(about | {"raytrace.item_ready": json.dumps(times)})
        if row["span_id"] in flows and chosen.random() < 0.8:
            row["attributes"] = json.dumps(json.loads(row.get("attributes", "{}")) | _sampled(chosen, row, scale))
        row["start"] *= scale
        row["end"] = row["end"] if row["end"] is None else row["end"] * scale
    return span_table(rows)


def _wait(chosen: random.Random, span_id: str, parent: str, start: int, calls: int, **columns: Any) -> Row:
    end = chosen.choice((start + chosen.randint(1, 15),) * 9 + (None,))
    late: Row = {"raytrace.timed_out": chosen.choice((True, False)), "raytrace.awaited_task_ids": ["0", "1"]}
    told = chosen.choice(({}, late, {"raytrace.item": chosen.randrange(6)}, {}))
    ready = [str(chosen.randrange(calls))] if told is not late or chosen.random() < 0.5 else []
    about = {"ready_task_ids": ready, "name": "ray.get", "attributes": json.dumps(told)}
    if told is late and not ready and end is not None:
        about |= {"status": "ERROR", "status_message": "KeyboardInterrupt" if end % 2 else "CancelledError: cancelled"}
    if chosen.random() < 0.3:
        about["name"] = "ray.next"
    elif parent != "d" and chosen.random() < 0.8:
        awaited: Row = {"raytrace.awaited": chosen.choice(_AWAITED)}
        if chosen.random() < 0.3:
            awaited["raytrace.sampled_times"] = True
        about = {"ready_task_ids": [], "name": "await", "attributes": json.dumps(awaited)}
    return _span(span_id, parent, start, end, category="wait", pid=100, **about, **columns)


def _held_back(chosen: random.Random, span_id: str, parent: str, start: int, **columns: Any) -> Row:
    start += chosen.randint(0, 10)
    about = {"name": "back-pressure", "ready_task_ids": [], "category": "wait", "pid": 100}
    return _span(span_id, parent, start, start + chosen.randint(1, 10), **about, **columns)


def _submitter(chosen: random.Random, ends: list[tuple[int, int]], time: int) -> str:
    """Who submits something at a time: the driver, or a run that runs then."""
    running = [f"r{number}" for number, (start, end) in enumerate(ends) if start < time - 1 < end]
    return chosen.choice(("d", *running))


def _call_to_end(chosen: random.Random, span_id: str, calls: int) -> Row:
    at = chosen.randint(0, 70)
    told = json.dumps({"raytrace.target_task_id": str(chosen.randrange(calls))})
    kill = {"name": "ray.kill", "actor_id": chosen.choice("xy"), "job_id": chosen.choice(("j1", "j1", "j2"))}
    return _span(span_id, "d", at, at, **chosen.choice((kill, {"name": "ray.cancel", "attributes": told})))


def _step(chosen: random.Random, span_id: str, parent: str) -> Row:
    start = chosen.randint(0, 70)
    return _span(span_id, parent, start, start + chosen.randint(1, 30), category="custom", name="step", pid=100)


def _idle_wait(chosen: random.Random, span_id: str, parent: str, ends: list[tuple[int, int]]) -> list[Row]:
    """A delivery, or some polls for a result, in a flow or in a thread of it; most at about the time of its end."""
    number = chosen.randrange(len(ends))
    task, time = [str(number)], chosen.choice((chosen.randint(2, 75), *[ends[number][1] + chosen.randint(0, 4)] * 3))
    about: Row = {"category": "wait", "pid": 1 if parent == "d" else 100}
    above = None if parent == "d" and chosen.random() < 0.3 else parent
    if chosen.random() < 0.5:
        return [_span(span_id, above, time, time, name="ray.delivery", ready_task_ids=task, **about)]
    told = json.dumps({"raytrace.timed_out": True, "raytrace.awaited_task_ids": task})
    ended = ends[number][1]
    late = {"name": "ray.wait", "ready_task_ids": [], "attributes": told}
    in_vain = [ended - 3 - 6 * each for each in range(chosen.randint(1, 3))]
    begin = max(time, ended)
    return [
        *(_span(f"{span_id}{each}", above, each, each + 2, **late, **about) for each in in_vain),
        _span(f"{span_id}x", above, begin, begin + 1, name="ray.wait", ready_task_ids=task, **about),
    ]


def _sampled(chosen: random.Random, row: Row, scale: int) -> Row:
    """Say that the thread of a span was looked at, and when it was idle."""
    times = sorted(chosen.sample(range(row["start"], row["start"] + 80), 2 * chosen.randint(1, 3)))
    stretches = [
        {
            "start_ns": begin * scale,
            "end_ns": end * scale,
            "in": "time.sleep",
            "at": "f.py:1",
            "loops": chosen.random() < 0.5,
        }
        for begin, end in zip(times[::2], times[1::2], strict=True)
    ]
    return {"raytrace.cpu_ns": scale, "raytrace.idle": json.dumps({"stretches": stretches})}


def _items(chosen: random.Random, start: int, end: int) -> str:
    """Say of half of the runs that they gave items, of which every second may be told."""
    times = sorted(chosen.randint(start - 1, end + 1) for _ in range(chosen.randint(1, 5)))
    every = chosen.choice((1, 2))
    told = {"raytrace.items": len(times), "raytrace.item_ready": json.dumps(times[::every])}
    return json.dumps(chosen.choice((told, {})))


def _span(span_id: str, parent: str | None, start: int, end: int | None, **columns: Any) -> Row:
    same = {"session": "s1", "job_id": "j1", "node_id": "n1", "records_waits": True}
    return {"span_id": span_id, "parent_id": parent, "start": start, "end": end, **same, **columns}
