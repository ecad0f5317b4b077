"""Which nested spans are flows of their own: those that overlap, and those that nobody waits for."""

import numpy as np

from raytrace_analyze.replay.program_order.event_order import by_flow_and_time
from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.waits.waiting import Waiting


def overlapping(scoped: Scoped, nested: RowIds) -> RowIds:
    """Give the nested spans that overlap a sibling."""
    if nested.size == 0:
        return nested
    order = nested[
        by_flow_and_time(scoped.parent[nested], scoped.start[nested], scoped.end[nested] - scoped.start[nested])
    ]
    parent, start, end = scoped.parent[order], scoped.start[order], scoped.end[order]
    # The latest end among the siblings before, as ranks, so that one running maximum serves all parents.
    ends, rank = np.unique(end, return_inverse=True)
    first = np.concatenate([[True], parent[1:] != parent[:-1]])
    group = np.cumsum(first) - 1
    latest = np.maximum.accumulate(group * ends.size + rank) - group * ends.size
    opens = first.copy()
    opens[1:] |= start[1:] >= ends[latest[:-1]]
    cluster = np.cumsum(opens) - 1
    overlapping: RowIds = order[np.bincount(cluster)[cluster] > 1]
    return overlapping


def notes(scoped: Scoped, runs: Runs, waiting: Waiting, nested: RowIds) -> RowIds:
    """Give what takes no time while a sibling goes on, and does nothing to others: another thread's notes.

    They hold nobody up, and nobody joins them.
    """
    rows = overlapping(scoped, nested)
    rows = rows[(scoped.end[rows] == scoped.start[rows]) & ~runs.is_wait[rows]]
    rows = rows[~scoped.structure.is_submit[rows]]
    return rows if waiting.ended_by is None else np.setdiff1d(rows, waiting.ended_by)


def outermost_detached(scoped: Scoped, nested: RowIds) -> Flags:
    """Tell the outermost detached spans: what is nested in them goes with them."""
    return scoped.detached[nested] & ~scoped.detached[scoped.parent[nested]]
