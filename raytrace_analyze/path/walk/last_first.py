"""Spans in groups, of each of which those that ended last are taken first, and none more than once."""

import numpy as np

from raytrace_analyze.table.lineage import Nanos, RowIds

_ASKED_FIRST = 512
"""So many spans are taken at first: asking about them costs hardly more than asking about one."""


class LastFirst:
    """The spans of some groups that have not been taken."""

    def __init__(self, spans: RowIds, end: Nanos, group: RowIds, groups: int) -> None:
        """`spans` are in order of their ends; `end` and `group` are by span."""
        self.asking = _ASKED_FIRST
        """How many spans are taken at a time."""
        self._end, self._group = end, group
        own = group[spans]
        self._spans = spans[np.argsort(own.astype(np.min_scalar_type(groups)), kind="stable")]
        self._first = [0, *np.cumsum(np.bincount(own, minlength=groups)).tolist()]
        """By group: where its spans begin among those, which are in order of their ends."""
        self._left = self._first[1:]
        """By group: up to where none has been taken."""

    def take(self, span: int, time: int) -> RowIds:
        """Take those of a span's group that ended last up to a time (ns)."""
        group = int(self._group[span])
        first, left = self._first[group], self._left[group]
        until = first + int(np.searchsorted(self._end[self._spans[first:left]], time, side="right"))
        since = max(until - self.asking, first)
        self._left[group] = since
        return self._spans[since:until]
