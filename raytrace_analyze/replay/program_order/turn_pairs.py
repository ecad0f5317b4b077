"""Whose turn on an actor came after whose: what a method waited for that nobody else's result decides."""

from bisect import bisect_right, insort
from itertools import groupby

import numpy as np

from raytrace_analyze.replay.program_order.events import Edges, Events
from raytrace_analyze.sampled.questions import asked_in_vain
from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.trace.asof_latest import Latest


def turn_pairs(events: Events, methods: RowIds) -> list[Edges]:
    """Pair runs on actors with those, of some methods, that got their turn, in the order that was observed: rows.

    With one at a time, and for what executes on an event loop, that is the last to let go; where more may be open, each
    takes the turn of the one that ended last before it, of which no other one has taken the turn. What was asked in
    vain, in a loop until something else had been called, keeps nothing else from its turn: it would not be asked.
    """
    turns = events.waiting.turns
    lane = turns.lane[methods]
    one = turns.is_known[lane] & ((turns.limit[lane] == 1) | turns.on_loop[lane])
    freed = Latest(turns.freed, events.scoped.structure.start)
    start = events.scoped.start[methods[one]]
    position = freed.before(lane[one], np.full(start.size, np.iinfo(np.int64).min), start)
    in_vain = asked_in_vain(events.scoped.structure)
    if in_vain.any():
        position = np.where(in_vain[methods[one]], position, _but(freed, in_vain, position))
    last = freed.members_at(position)
    is_end = freed.times_at(position) == events.scoped.structure.end[last]
    several = methods[turns.is_known[lane] & (turns.limit[lane] > 1)]
    return [(last[is_end], methods[one][is_end]), _turns_taken(events, several)]


def _but(freed: Latest, skipped: Flags, position: RowIds) -> RowIds:
    """Give for positions the last until there, in its group, that is none of the rows skipped; -1 for none."""
    group = np.repeat(np.arange(freed.first.size - 1), np.diff(freed.first))
    place = np.arange(freed.members.size)
    last = np.maximum.accumulate(np.where(skipped[freed.members], -1, place))
    last = np.where(last >= freed.first[group], last, -1)
    return np.where(position >= 0, last[position], -1)


def _turns_taken(events: Events, methods: RowIds) -> Edges:
    """Pair runs with those of the same lane that took their turns; none where there were turns for all."""
    turns, scoped = events.waiting.turns, events.scoped
    order = methods[np.lexsort((scoped.end[methods], scoped.start[methods], turns.lane[methods]))]
    before: list[int] = []
    after: list[int] = []
    for lane, some in groupby(order.tolist(), key=lambda row: int(turns.lane[row])):
        limit, free, opened = int(turns.limit[lane]), SortedEnds(), 0
        for row in some:
            last = free.take_until(int(scoped.start[row])) if opened >= limit else None
            opened += last is None
            if last is not None:
                before.append(last)
                after.append(row)
            free.add(int(scoped.end[row]), row)
    return np.array(before, dtype=np.int64), np.array(after, dtype=np.int64)


class SortedEnds:
    """The ends of runs whose turns nobody has taken yet."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, int]] = []

    def add(self, end: int, row: int) -> None:
        """Note when a run ended."""
        insort(self._ends, (end, row))

    def take_until(self, time: int) -> int | None:
        """Take the turn of the run that ended last by a time, if there is one."""
        place = bisect_right(self._ends, (time, 1 << 62)) - 1
        return self._ends.pop(place)[1] if place >= 0 else None
