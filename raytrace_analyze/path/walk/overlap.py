"""Siblings that overlap by a little: taken as one after the other, where a tolerance is asked for.

Some tracers' spans end a moment after the next one has begun. Taken literally the two ran at the same time, and only
the later one is on the path.
"""

import numpy as np

from raytrace_analyze.errors import UsageError
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.asof import latest_until
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.groups import Timed, group_by_time
from raytrace_analyze.values import frozen


@frozen
class Overlaps:
    """Finds, when the walk is back in spans at some times, the children that ended a moment later."""

    scoped: Scoped
    joins: Timed
    by_end: Latest
    """The same joins, to be searched."""
    by_start: Timed
    """The same children by owner, in order of their starts."""
    tolerance: float
    """How much later at most, as a part of the parent's length."""

    def children(self, parent: RowIds, time: Nanos, exact: RowIds) -> RowIds:
        """Give the children that join their parents at `time` though they ended later, -1 where there is none.

        No start or end of another one may lie in between. `exact` is the latest child that ended just at `time` (-1:
        none): of the two the usual rules for ties decide, and where it wins it is what is given. All are parallel.
        """
        scoped, found = self.scoped, np.full(parent.size, -1, dtype=np.int64)
        start, end = scoped.start[parent], scoped.end[parent]
        asked = np.flatnonzero(
            (start < time) & (time < end) & (self.joins.first[parent + 1] > self.joins.first[parent])
        )
        later = self._next(self.joins, parent[asked], time[asked])
        asked, later = asked[later >= 0], later[later >= 0]
        ended = self.joins.times[later]
        is_near = ended - time[asked] <= self.tolerance * (end - start)[asked]
        asked, ended = asked[is_near], ended[is_near]
        begun = self._next(self.by_start, parent[asked], time[asked])
        alone = (begun < 0) | (self.by_start.times[begun] >= ended)
        asked, ended = asked[alone], ended[alone]
        position = self.by_end.before(parent[asked], ended - 1, ended, begun_before=time[asked])
        child = self.by_end.members_at(position)
        tied = np.flatnonzero((child >= 0) & (exact[asked] >= 0))
        child[tied] = self._last(child[tied], exact[asked[tied]])
        found[asked] = child
        return found

    @staticmethod
    def _next(timed: Timed, group: RowIds, time: Nanos) -> RowIds:
        """Give the position of each group's first member later than `time`, -1 where there is none."""
        before = latest_until(timed, group, time)
        after = np.where(before >= 0, before + 1, timed.first[group])
        return np.where(after < timed.first[group + 1], after, -1)

    def _last(self, one: RowIds, other: RowIds) -> RowIds:
        """Choose from pairs of children by the rules for ties: a submit, what started earlier, the greater id."""
        structure = self.scoped.structure
        both = np.concatenate([one, other])
        order = np.lexsort((structure.id_ranks(both), -self.scoped.start[both], structure.is_submit[both]))
        place = np.empty(both.size, dtype=np.int64)
        place[order] = np.arange(both.size)
        return np.where(place[: one.size] > place[one.size :], one, other)


def find_overlaps(scoped: Scoped, joins: Timed, tolerance: float) -> Overlaps | None:
    """Prepare the search; None without a tolerance. Raises UsageError for one that is not from 0 up to 1."""
    if not 0 <= tolerance < 1:
        raise UsageError(f"an overlap tolerance is a part of the parent's length, from 0 up to 1, not {tolerance}")
    if tolerance == 0:
        return None
    owner = np.repeat(np.arange(joins.first.size - 1), np.diff(joins.first))
    by_start = group_by_time(owner, joins.first.size - 1, joins.members, scoped.start[joins.members])
    return Overlaps(scoped, joins, Latest(joins, scoped.start), by_start, tolerance)
