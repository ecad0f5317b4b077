"""Calls that had not ended and wait for a lock of their actor's: who holds it."""

from collections.abc import Iterable, Iterator

import polars as pl

from raytrace_analyze.analyses.stuck.held_locks import asks_for_lock, held_by, holders, is_taking
from raytrace_analyze.analyses.stuck.opened import HELD, Edge, Open, key_of
from raytrace_analyze.analyses.stuck.submitted import Row

_Actor = tuple[str | None, str]


def of_locks(found: Open, running: Iterable[Row], spans: pl.DataFrame) -> Iterator[Edge]:
    """Say who holds what calls wait for that ask an actor for a lock, or notes in `found` who has ended and held it.

    Takes what is known by now, the runs that had not ended, and all spans.
    """
    waiting: dict[_Actor, list[Row]] = {}
    others: dict[_Actor, list[Row]] = {}
    for row in running:
        if row["actor_id"]:
            asks = asks_for_lock(found.idle_in.get(key_of(row), ""), row["function"])
            (waiting if asks else others).setdefault((row["session"], row["actor_id"]), []).append(row)
    for actor, rows in waiting.items():
        for row in rows:
            yield from _holders(found, row, rows, others.get(actor, ()), spans)


def _holders(
    found: Open, row: Row, waiting: Iterable[Row], others: Iterable[Row], spans: pl.DataFrame
) -> Iterator[Edge]:
    """Say it of one call, by all that wait for a lock on its actor, and those that go on there."""
    key, since_ns = key_of(row), row["start_ns"]
    seen = list(holders(spans, row, told)) if (told := found.held_by.get(key)) else []
    if seen:
        for held in seen:
            if held.flow in found.states:
                yield Edge(key, held.flow, HELD, since_ns, certain=held.is_recorded)
            else:
                found.locks[key] = held
        return
    # A call that goes on there since before may hold it itself; only else does one that has ended.
    before = [one for one in others if one["start_ns"] < since_ns]
    if before:
        yield from (Edge(key, key_of(one), HELD, since_ns, certain=False) for one in before)
        return
    # Of two that wait, and nobody else has what they wait for, each holds the other's; in one place they may as well
    # wait for one lock, which a call took that has ended.
    one_other = [key_of(one) for one in waiting if one is not row]
    other = one_other[0] if len(one_other) == 1 else None
    place = found.idle_in.get(key, "")
    elsewhere = other is not None and is_taking(place) and found.idle_in.get(other) != place
    last = None if elsewhere else held_by(spans, row)
    if last is not None and last.flow in found.states:
        yield Edge(key, last.flow, HELD, since_ns, certain=False)
    elif last is not None:
        found.locks[key] = last
    elif other is not None:
        yield Edge(key, other, HELD, since_ns, certain=False)
