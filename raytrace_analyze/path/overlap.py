"""Siblings that overlap by a little: taken as one after the other, where a tolerance is asked for.

Some tracers' spans end a moment after the next one has begun. Taken literally the two ran at the same time, and only
the later one is on the path.
"""

from dataclasses import dataclass

import numpy as np

from raytrace_analyze.errors import UsageError
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.groups import Timed


@dataclass(frozen=True)
class Overlaps:
    """Finds, when the walk is back in a span at some time, the child that ended a moment later."""

    scoped: Scoped
    joins: Timed
    starts: RowIds
    """The children's starts, in the groups of `joins`, each in order."""
    tolerance: float
    """How much later at most, as a part of the parent's length."""

    def child(self, parent: int, time: int, exact: int | None) -> int | None:
        """Give the child that joins its parent at `time` though it ended later, None where there is none.

        No start or end of another one may lie in between. `exact` is the latest child that ended just at `time`: of
        the two the usual rules for ties decide.
        """
        scoped = self.scoped
        low, high = int(self.joins.first[parent]), int(self.joins.first[parent + 1])
        latest = time + int(self.tolerance * (scoped.end[parent] - scoped.start[parent]))
        after = low + int(np.searchsorted(self.joins.times[low:high], time, side="right"))
        if after == high or self.joins.times[after] > latest:
            return None
        ended = self.joins.times[after]
        begun = low + int(np.searchsorted(self.starts[low:high], time, side="right"))
        if begun < high and self.starts[begun] < ended:
            return None
        last = low + int(np.searchsorted(self.joins.times[low:high], ended, side="right"))
        fits = [int(child) for child in self.joins.members[after:last] if scoped.start[child] < time]
        return max([*fits, *([] if exact is None else [exact])], key=self._order) if fits else None

    def _order(self, child: int) -> tuple[bool, int, str]:
        structure = self.scoped.structure
        span_id = structure.spans.get_column("span_id")[child]
        return bool(structure.is_submit[child]), -int(self.scoped.start[child]), span_id


def find_overlaps(scoped: Scoped, joins: Timed, tolerance: float) -> Overlaps | None:
    """Prepare the search; None without a tolerance. Raises UsageError for one that is not from 0 up to 1."""
    if not 0 <= tolerance < 1:
        raise UsageError(f"an overlap tolerance is a part of the parent's length, from 0 up to 1, not {tolerance}")
    if tolerance == 0:
        return None
    start = scoped.start[joins.members]
    owner = np.repeat(np.arange(joins.first.size - 1), np.diff(joins.first))
    return Overlaps(scoped, joins, start[np.lexsort((start, owner))], tolerance)
