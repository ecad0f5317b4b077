"""Methods that let their calls go on at a rate: each call sleeps until it is its turn, as in a token bucket."""

import numpy as np

from raytrace_analyze.names.attributes import AWAITED, told
from raytrace_analyze.names.awaited import SLEEP
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.suspensions import find_suspensions

_FEWEST = 5
"""So many sleeps at least show a rate."""
_MOST_OF_THEM = 0.7
"""What part of them has to end as long after the one before as is usual."""
_ALIKE = 0.15
"""What part of that they may be sooner or later."""
_ALIKE_NS = 10_000_000
_DIFFER = 0.5
"""How much of it the longest sleep is longer than the shortest at least: those that are all alike may be calls of one
length that begin at a rate."""


@frozen
class Pace:
    """The sleeps of one method on one actor. Rows are positions in the table."""

    waits: RowIds
    runs: RowIds
    """By wait: the call that sleeps."""
    every_ns: int
    """How long after each other they usually end."""


def find_paces(relations: Runs, rows: RowIds, start: Nanos, end: Nanos) -> list[Pace]:
    """Find the methods of actors whose calls, among some rows, sleep until it is their turn.

    `start` and `end`: the times of all rows.
    """
    waits, runs, _ = find_suspensions(relations)
    spans = relations.structure.spans
    sleeps = flags(told(spans.get_column("attributes").gather(waits), AWAITED) == SLEEP) & np.isin(waits, rows)
    waits, runs = waits[sleeps], runs[sleeps]
    if waits.size < _FEWEST:
        return []
    methods = spans.select("function").to_series().gather(runs).rank("dense").to_numpy()
    _, group = np.unique(np.stack([relations.actor[runs], methods]), axis=1, return_inverse=True)
    return [pace for each in range(int(group.max()) + 1) if (pace := _pace(waits, runs, group == each, start, end))]


def _pace(waits: RowIds, runs: RowIds, of_method: Flags, start: Nanos, end: Nanos) -> Pace | None:
    waits, runs = waits[of_method], runs[of_method]
    if waits.size < _FEWEST:
        return None
    gaps = np.diff(np.sort(end[waits]))
    usual = int(np.median(gaps))
    took = end[waits] - start[waits]
    alike = np.abs(gaps - usual) <= max(_ALIKE * usual, min(_ALIKE_NS, usual / 2))
    if usual <= 0 or alike.mean() < _MOST_OF_THEM or took.max() - took.min() < _DIFFER * usual:
        return None
    return Pace(waits, runs, usual)
