"""What of a job's time lasts until something is there, and no longer: naps, at the events of its flows.

A nap is no work: it is scaled by nobody's speed. Where it is known for whose end it was, it is over when that run is,
however soon.
"""

import numpy as np

from raytrace_analyze.replay.program_order.events import Events
from raytrace_analyze.sampled.naps import Naps
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.busy_time import covered
from raytrace_analyze.values import frozen


@frozen
class Elastic:
    """Naps as parts of the stretches before events: parallel arrays but for `slept`."""

    slept: Nanos
    """By event: how much of the stretch before it was slept (ns)."""
    event: RowIds
    length: Nanos
    after: Nanos
    """How long before the event it ends (ns)."""
    until: RowIds
    """The event of the end that it waits for, -1 for something outside of Ray."""

    def outside_ns(self, events: RowIds) -> int:
        """Sum what was slept before some events for something outside of Ray (ns)."""
        return int(self.length[(self.until < 0) & np.isin(self.event, events)].sum())

    def overslept(self, time: Nanos, lengths: Nanos) -> Nanos:
        """Give by event how much of its naps lies after what they are for, when events come at these times (ns).

        `lengths` says by event how long the stretch before it still is.
        """
        too_long = np.zeros(time.size, dtype=np.int64)
        known = np.flatnonzero(self.until >= 0)
        end = time[self.event[known]] - self.after[known]
        over = np.clip(end - time[self.until[known]], 0, self.length[known])
        # A thread may have asked for several runs at once: the one that is there first ends its nap.
        pairs, group = np.unique(np.stack([self.event[known], self.until[known]]), axis=1, return_inverse=True)
        sums = np.zeros(pairs.shape[1], dtype=np.int64)
        np.add.at(sums, group, over)
        np.maximum.at(too_long, pairs[0], sums)
        return np.minimum(too_long, lengths)


def lay_naps(events: Events, works: Flags, released_by: RowIds, naps: Naps) -> Elastic:
    """Find the naps of a job among its events.

    `works` tells by event whether the stretch before it is own time, `released_by` which event of another flow the end
    of a wait came after, -1 for none.
    """
    head = events.head[naps.row]
    inside = np.flatnonzero((events.start_of[naps.row] >= 0) & (naps.end > naps.start))
    parts: list[tuple[int, int, int, int]] = []
    slept = np.zeros(events.time.size, dtype=np.int64)
    ends = np.where(naps.awaited >= 0, events.end_of[naps.awaited], -1)
    is_wait = (naps.awaited >= 0) & ~events.scoped.structure.is_run[naps.awaited]
    ends[is_wait] = released_by[ends[is_wait]]
    for nap in inside.tolist():
        low = int(np.searchsorted(events.flow, head[nap], side="left"))
        high = int(np.searchsorted(events.flow, head[nap], side="right"))
        start, end = int(naps.start[nap]), int(naps.end[nap])
        first = low + int(np.searchsorted(events.time[low:high], start, side="right"))
        last = low + int(np.searchsorted(events.time[low:high], end, side="left"))
        for event in range(max(first, low + 1), min(last + 1, high)):
            begin, finish = max(start, int(events.time[event - 1])), min(end, int(events.time[event]))
            if begin < finish and (works[event] or events.owner[event] == naps.row[nap]):
                parts.append((event, begin, finish, int(ends[nap])))
    which, begins, finishes, until = np.array(parts, dtype=np.int64).reshape(-1, 4).T
    # One stretch can hold many naps, and one nap can be for several runs.
    together = covered(which, begins, finishes)
    slept[together.get_column("owner").to_numpy()] = together.get_column("covered_ns").to_numpy()
    # What was slept on after the end of what it waits for would be slept on after a sooner one, too.
    there = np.where(until >= 0, events.time[until], finishes)
    finishes = np.clip(finishes, begins, np.maximum(there, begins))
    return Elastic(slept, which, finishes - begins, events.time[which] - finishes, until)
