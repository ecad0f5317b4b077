"""Span tables of programs at random that ask an actor again and again, until somebody's call changes the answer."""

import json
import random

import polars as pl

from tests.random_spans import Row, span_table

UNIT_NS = 20_000_000


def random_questions(seed: int) -> pl.DataFrame:
    """Make the table of a driver, a run of its task, and an actor that one of them asks and either calls."""
    chosen = random.Random(seed)
    if chosen.random() < 0.4:
        return span_table(_in_units(_goes_on(chosen)))
    begin, count = chosen.randint(5, 12), chosen.randint(4, 8)
    over = begin + 5 * count
    flows = {"d": (0, over + chosen.randint(0, 4)), "r": (3, over + chosen.randint(-9, 5))}
    asker = chosen.choice(("d", "d", "d", "r"))
    rows = [_call("s", "d", 1, 2, kind="PRODUCER", category="submit", submitted_task_id="t")]
    for name, (start, end) in flows.items():
        rows.append(_call(name, "s" if name == "r" else None, start, end, attributes=_sampled(chosen, start, end)))
    rows[1] |= {"category": "driver", "name": "ray.driver", "pid": 1}
    rows[2] |= {"category": "task", "kind": "CONSUMER", "task_id": "t", "function": "f", "pid": 2}
    fail = chosen.choice((0, 0, count - 1, chosen.randint(1, count)))
    for number in range(count):
        at = begin + 5 * number - chosen.choice((0,) * 30 + (3,))
        rows += _asked(f"q{number}", asker, at, at + 1, "A.ask", "ERROR" if number < fail else "OK")
        rows.append(_call(f"w{number}", asker, at + 1, at + 3, category="wait", ready_task_ids=[f"q{number}"]))
        if chosen.random() < 0.03:
            rows += _asked(f"o{number}", asker, at + 3, at + 3, "A.other")
    for number in range(chosen.choice((0, 1, 1, 1, 2))):
        at = begin + 5 * chosen.choice((count - 1,) * 4 + (chosen.randint(1, count),)) - chosen.choice((1, 1, 0, 3))
        rows += _asked(f"c{number}", chosen.choice("ddrrrr"), at - 3, at - 1, "A.set")
    return span_table(_in_units(rows))


def _in_units(rows: list[Row]) -> list[Row]:
    for row in rows:
        row["start"], row["end"] = row["start"] * UNIT_NS, row["end"] * UNIT_NS
    return rows


def _goes_on(chosen: random.Random) -> list[Row]:
    """A driver that asks, once or more often in vain, takes what it has waited for, and asks again."""
    rounds = [chosen.choice((1, 1, 1, 2, 2, 3)) for _ in range(chosen.randint(2, 5))]
    over = 8 + sum(8 * count + 6 for count in rounds)
    fails, takes = chosen.random() < 0.3, chosen.random() < 0.8
    sites = chosen.choice((["at"], ["at"], ["at"], ["at", "other"], [None]))
    rows = [_call("s", "d", 1, 2, kind="PRODUCER", category="submit", submitted_task_id="t")]
    for name, end in (("d", over), ("r", over - 2)):
        rows.append(_call(name, "s" if name == "r" else None, 0, end, attributes=_sampled(chosen, 0, end, always=True)))
    rows[1] |= {"category": "driver", "name": "ray.driver", "pid": 1}
    rows[2] |= {"category": "task", "kind": "CONSUMER", "task_id": "t", "function": "f", "pid": 2}
    at, number = 8, 0
    for count in rounds:
        for look in range(count + 1):
            number += 1
            failed = fails and look < count
            rows += _asked(f"q{number}", "d", at, at + 1, "A.ask", "ERROR" if failed else "OK", chosen.choice(sites))
            rows.append(_call(f"w{number}", "d", at + 1, at + 3, category="wait", ready_task_ids=[f"q{number}"]))
            if chosen.random() < (0.95 if look == count - 1 else 0.05):
                setter = chosen.choice(("A.set",) * 15 + ("A.other",))
                rows += _asked(f"c{number}", chosen.choice("r" * 15 + "d"), at + 4, at + 5, setter)
            at += 8
        if takes:
            rows += _asked(f"g{number}", "d", at - 4, at - 3, chosen.choice(("A.get", "A.get", "A.set")))
            at += 2
    return rows


def _asked(
    task: str, by: str, submitted: int, end: int, function: str, status: str = "OK", site: str | None = None
) -> list[Row]:
    run = {"category": "task", "kind": "CONSUMER", "actor_id": "a", "function": function, "task_id": task, "pid": 3}
    run |= {"status": status}
    return [
        _call(f"s{task}", by, submitted, submitted + 1, kind="PRODUCER", category="submit", submitted_task_id=task)
        | ({} if site is None else {"attributes": json.dumps({"raytrace.call_site": site})}),
        _call(f"r{task}", f"s{task}", max(submitted, end), end + 1, **run),
    ]


def _sampled(chosen: random.Random, start: int, end: int, *, always: bool = False) -> str:
    """Say that a thread was idle all the time, at some times, or that nobody looked at it."""
    times = sorted(chosen.sample(range(start, max(end, start + 8)), 4))
    stretches = (
        [(start, end)] if always else chosen.choice(([(start, end)], [(start, end)], [times[:2], times[2:]], None))
    )
    if stretches is None:
        return "{}"
    told = [{"start_ns": one * UNIT_NS, "end_ns": other * UNIT_NS, "in": "sleep", "at": ""} for one, other in stretches]
    return json.dumps({"raytrace.cpu_ns": UNIT_NS, "raytrace.idle": json.dumps({"stretches": told})})


def _call(span_id: str, parent: str | None, start: int, end: int, **columns: object) -> Row:
    same = {"session": "s1", "job_id": "j1", "node_id": "n1", "records_waits": True, "name": "ray.get"}
    return {"span_id": span_id, "parent_id": parent, "start": start, "end": end, **same, **columns}
