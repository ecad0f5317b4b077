"""What goes on beside a wait in the same flow: a wait encloses it in time, and is no parent of it.

Such siblings overlap, which looks like threads. Often it is none: what a library calls while it waits, again and again,
and what it does once that came, is recorded beside the wait.
"""

from dataclasses import replace

import numpy as np

from raytrace_analyze.names.functions import is_without_program
from raytrace_analyze.names.spans import DELIVERY
from raytrace_analyze.table.lineage import Flags, RowIds, flags
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.waiting import Waiting


@frozen
class Beside:
    """What nobody in a flow waits for: parallel arrays of rows."""

    row: RowIds
    wait: RowIds
    """The wait that it is beside, from whose start on it keeps its distance."""


def take_apart(scoped: Scoped, runs: Runs, waiting: Waiting, nested: RowIds) -> tuple[Scoped, Beside]:
    """Say when waits begin and end, and find what Ray's libraries do for themselves beside them.

    A wait is over when something else begins in its flow once what it waited for was there. What is begun before
    that, by Ray's libraries for themselves, holds up nobody: the flow goes on when the wait is over. What comes in a
    callback meanwhile was on its way since the wait began: until then the flow did nothing else.
    """
    inside, wait = _enclosed(scoped, runs, nested)
    if inside.size == 0:
        return scoped, Beside(inside, wait)
    structure = scoped.structure
    functions = structure.spans.get_column("function")
    names = functions.gather(np.union1d(inside, wait)).unique().drop_nulls()
    own = flags(functions.is_in(names.filter(is_without_program(names)).implode()))
    by_library = own[wait] & ~structure.is_submit[wait]
    end = _cut(scoped, waiting, inside, wait, by_library | ~runs.is_wait[inside])
    still = (scoped.end[inside] <= end[wait]) & (by_library | (structure.is_submit & own)[inside])
    start, comes = scoped.start.copy(), scoped.start[inside] == scoped.end[inside]
    comes &= flags(structure.spans.get_column("name").gather(inside) == DELIVERY)
    start[inside[comes]] = scoped.start[wait[comes]]
    return replace(scoped, start=start, end=end), Beside(inside[still], wait[still])


def _enclosed(scoped: Scoped, runs: Runs, nested: RowIds) -> tuple[RowIds, RowIds]:
    """Pair siblings with the wait beside them that began before and lasts longest, where it lasts longer than they."""
    waits = nested[runs.is_wait[nested] & (scoped.end[nested] > scoped.start[nested])]
    rows = nested[np.isin(scoped.parent[nested], scoped.parent[waits])]
    if waits.size == 0 or rows.size < 2:
        return rows[:0], rows[:0]
    rows = rows[np.lexsort((-scoped.end[rows], scoped.start[rows], scoped.parent[rows]))]
    parent, end = scoped.parent[rows], scoped.end[rows]
    group = np.cumsum(np.concatenate([[False], parent[1:] != parent[:-1]]))
    ends, rank = np.unique(end, return_inverse=True)
    # As ranks, so that one running maximum serves all parents.
    lasting = group * (ends.size + 1) + np.where(np.isin(rows, waits), rank + 1, 0)
    longest = np.maximum.accumulate(lasting)
    place = np.maximum.accumulate(np.where(lasting == longest, np.arange(rows.size), 0))
    before = np.concatenate([[0], place[:-1]])
    is_inside = (group[before] == group) & (np.arange(rows.size) > 0) & np.isin(rows[before], waits)
    is_inside &= end <= end[before]
    return rows[is_inside], rows[before[is_inside]]


def _cut(scoped: Scoped, waiting: Waiting, inside: RowIds, wait: RowIds, counts: Flags) -> RowIds:
    """Give the ends (ns) of all spans, of waits where the first of what counts began after what they waited for."""
    first, times = waiting.waited.first, waiting.waited.times
    last = first[wait + 1] - 1
    is_known = counts & (last >= first[wait])
    inside, wait, last = inside[is_known], wait[is_known], last[is_known]
    after = scoped.start[inside] >= times[last]
    end = scoped.end.copy()
    np.minimum.at(end, wait[after], scoped.start[inside[after]])
    return end
