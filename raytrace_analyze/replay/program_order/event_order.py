"""The events of flows one after another: what kinds there are, and which comes first of those at one time."""

import numpy as np
import numpy.typing as npt

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.clipping import Scoped

START, END, FORK, JOIN, INFERRED_JOIN, SIGNAL = range(6)
"""Kinds of events: of a span's own flow its start and end; of another flow where a row is forked off or joined; where
a run is joined that nobody claims; where a run did what another span waited for (see `signals`)."""

FAR = 1 << 40
"""Beyond every level of nesting: a key that comes last."""

Part = tuple[npt.NDArray[np.int8], RowIds, RowIds, RowIds, RowIds]
"""Events of one kind: kind, flow, time, row, and what orders events of one time."""


def part(kind: int, flow: RowIds, time: Nanos, row: RowIds, key: RowIds) -> Part:
    """Give events of one kind."""
    return np.full(row.size, kind, dtype=np.int8), flow, time, row, key


def key_of(level: RowIds, sub: int) -> RowIds:
    """Order what happens at one time: ends, the deepest first (0, 1), then starts, the outermost first (3)."""
    return FAR + level * 4 if sub == 3 else -level * 4 + sub


def spans_part(scoped: Scoped, rows: RowIds, head: RowIds, level: RowIds, above: RowIds, kind: int) -> Part:
    """The starts, or ends, of spans in their own flows; a flow begins and ends with those of its head."""
    time = scoped.start[rows] if kind == START else scoped.end[rows]
    key = key_of(level[rows], 3 if kind == START else 0)
    is_empty = scoped.start[rows] >= scoped.end[rows]
    starts_with_parent = (above[rows] >= 0) & (scoped.start[rows] == scoped.start[above[rows]])
    after = np.where(starts_with_parent, FAR + level[rows] * 4, -level[rows] * 4) + (1 if kind == START else 2)
    key = np.where(is_empty, after, key)
    is_head = head[rows] == rows
    key[is_head] = -4 * FAR if kind == START else 4 * FAR
    return part(kind, head[rows], time, rows, key)


def fork_key(scoped: Scoped, rows: RowIds, level: RowIds, above: RowIds) -> RowIds:
    """Order where overlapping spans are forked off: of one that takes no time, right before it is joined."""
    is_empty = scoped.start[rows] >= scoped.end[rows]
    return np.where(is_empty, join_key(scoped, rows, level, above) - 1, key_of(level[above[rows]] + 1, 3))


def join_key(scoped: Scoped, rows: RowIds, level: RowIds, above: RowIds) -> RowIds:
    """Order where overlapping spans are joined: before what begins, but for what began and ended just then."""
    deeper = level[above[rows]] + 1
    is_empty = scoped.start[rows] >= scoped.end[rows]
    starts_with_parent = scoped.start[rows] == scoped.start[above[rows]]
    return np.where(is_empty & starts_with_parent, key_of(deeper, 3) + 1, key_of(deeper, 0))


def by_flow_and_time(flow: RowIds, time: Nanos, key: RowIds) -> RowIds:
    """Give the order by flow, time and key; sorts by one number where these fit into it, which is much faster."""
    if time.size == 0:
        return np.empty(0, dtype=np.int64)
    order = np.argsort(time, kind="stable")
    place = np.empty(order.size, dtype=np.int64)
    ordered = time[order]
    place[order] = np.cumsum(np.concatenate([[0], ordered[1:] != ordered[:-1]]))
    by = flow * (int(place.max()) + 1) + place
    order = np.argsort(by, kind="stable")
    tied = np.flatnonzero(np.diff(by[order]) == 0)
    tied = np.union1d(tied, tied + 1)
    order[tied] = order[tied][np.lexsort((key[order[tied]], by[order[tied]]))]
    return order
