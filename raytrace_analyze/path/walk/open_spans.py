"""What a run was in the middle of: the nested span that was open where the walk enters the run before its end.

A generator gives an item, or a handler its answer, from within a span of its own (one that the program made, or Ray
Serve): what went before is in there.
"""

import numpy as np

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.asof import latest_until
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.groups import Timed, group_by_time
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen


@frozen
class OpenSpans:
    """Finds the nested spans that were open at some times."""

    _by_start: Timed
    _by_end: Timed
    """The same spans by parent, in order of their starts, and of their ends."""
    _start_sums: RowIds
    _end_sums: RowIds
    """The sums of their rows, in both orders: from 0, one element more."""

    def innermost(self, row: RowIds, time: Nanos) -> RowIds:
        """Give for spans at some times the innermost that was open then, going in as long as it is one alone."""
        inside = row.copy()
        asked = np.arange(row.size)
        while asked.size:
            child = self._only_child(inside[asked], time[asked])
            asked, child = asked[child >= 0], child[child >= 0]
            inside[asked] = child
        return inside

    def _only_child(self, row: RowIds, time: Nanos) -> RowIds:
        begun, begun_sum = self._until(self._by_start, self._start_sums, row, time - 1)
        ended, ended_sum = self._until(self._by_end, self._end_sums, row, time)
        return np.where(begun - ended == 1, begun_sum - ended_sum, -1)

    @staticmethod
    def _until(timed: Timed, sums: RowIds, row: RowIds, time: Nanos) -> tuple[RowIds, RowIds]:
        """Count the members up to some times, and sum their rows."""
        first = timed.first[row]
        position = latest_until(timed, row, time)
        after = np.where(position >= 0, position + 1, first)
        return after - first, sums[after] - sums[first]


def find_open_spans(scoped: Scoped, runs: Runs) -> OpenSpans | None:
    """Prepare the search among nested spans that are no submissions; None where there are none."""
    structure, count = scoped.structure, scoped.span_count
    parent = scoped.parent[:count]
    is_asked = (parent >= 0) & ~(structure.is_run | structure.is_submit | scoped.detached[:count])
    members = np.flatnonzero(is_asked)
    # One of no length is never open, and its end would count before its start.
    members = members[scoped.end[members] > scoped.start[members]]
    if members.size == 0:
        return None
    owner, groups = parent[members], scoped.start.size
    by_start = group_by_time(owner, groups, members, scoped.start[members])
    by_end = group_by_time(owner, groups, members, scoped.end[members])
    return OpenSpans(by_start, by_end, _sums(by_start), _sums(by_end))


def _sums(timed: Timed) -> RowIds:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(timed.members)])
