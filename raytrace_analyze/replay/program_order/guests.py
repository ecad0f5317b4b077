"""Runs whose ends nobody is known to have waited for, and where in a flow that is taken to have happened."""

import numpy as np

from raytrace_analyze.replay.program_order.event_order import by_flow_and_time
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.joins import joins
from raytrace_analyze.trace.relations import Runs


def find_guests(scoped: Scoped, runs: Runs, rows: RowIds, *, infer: bool) -> tuple[RowIds, RowIds]:
    """Give the runs that nobody claims, and who is taken to have waited for each."""
    none = np.empty(0, dtype=np.int64)
    within = rows[:-1]
    if not infer or not (scoped.structure.is_run[within] & ~runs.claimed[within]).any():
        return none, none
    found = joins(scoped, runs, infer=True)
    owner = np.repeat(np.arange(found.first.size - 1), np.diff(found.first))
    kept = scoped.structure.is_run[found.members] & (scoped.scope_of[found.members] == scoped.scope_of[rows[-1]])
    kept &= (found.times <= scoped.end[owner]) & (found.times >= scoped.start[owner])
    return found.members[kept], owner[kept]


def child_at(scoped: Scoped, above: RowIds, head: RowIds, rows: RowIds, guest: RowIds, claimant: RowIds) -> RowIds:
    """Give the child within whose time the claimant's flow was when a guest ended; -1 where it was in none.

    What the claimant did inside a nested span it did not stop doing for the guest: it can join it right after.
    """
    found = np.full(guest.size, -1, dtype=np.int64)
    if guest.size == 0:
        return found
    children = rows[(above[rows] >= 0) & (head[rows] != rows)]
    children = children[scoped.end[children] > scoped.start[children]]
    if children.size == 0:
        return found
    # Children of one parent in one flow follow each other: the last to start before then is the only one to look at.
    both = np.concatenate([scoped.start[children], scoped.end[guest]])
    parent = np.concatenate([above[children], claimant])
    is_guest = np.arange(both.size) >= children.size
    order = by_flow_and_time(parent, both, (~is_guest).astype(np.int64))
    position = np.maximum.accumulate(np.where(is_guest[order], -1, np.arange(order.size)))
    last = np.where(position >= 0, order[position], 0)
    asked = is_guest[order] & (position >= 0) & (parent[order] == parent[last])
    child = children[np.where(asked, last, 0)]
    asked &= scoped.end[child] > both[order]
    found[order[asked] - children.size] = child[asked]
    return found
