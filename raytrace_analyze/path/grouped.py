"""Rows in groups, each group in order of time: "the latest of these that ended by then"."""

from dataclasses import dataclass

import numpy as np

from raytrace_analyze.lineage import Rows


@dataclass(frozen=True)
class Grouped:
    """Members sorted by group and, within it, from the least to the greatest by the keys they were grouped with."""

    members: Rows
    first: Rows
    """Where each group begins in `members`; one element more than there are groups."""

    def of(self, group: int) -> Rows:
        """Give a group's members, the greatest last; none for group -1."""
        if group < 0:
            return self.members[:0]
        return self.members[self.first[group] : self.first[group + 1]]


@dataclass(frozen=True)
class Timed(Grouped):
    """Members whose first key is a time."""

    times: Rows
    """The time of each element of `members`."""

    def until(self, group: int, time: int) -> range:
        """Give the positions in `members` of those with a time of at most `time`, the latest first."""
        if group < 0:
            return range(0)
        low, high = int(self.first[group]), int(self.first[group + 1])
        end = low + int(np.searchsorted(self.times[low:high], time, side="right"))
        return range(end - 1, low - 1, -1)


def group_rows(group: Rows, group_count: int, members: Rows) -> Grouped:
    """Group `members` by `group` (parallel arrays; -1: in none), in the order given."""
    kept = group >= 0
    order = np.argsort(group[kept], kind="stable")
    return Grouped(members[kept][order], _firsts(group[kept], group_count))


def group_by_time(group: Rows, group_count: int, members: Rows, times: Rows, *ties: Rows) -> Timed:
    """Group `members` by `group`, each in order of `times`; of equal times the one with greater `ties` comes later.

    All arrays are parallel; a group of -1 means in none. The first of `ties` weighs most.
    """
    kept = group >= 0
    keys = [tie[kept] for tie in reversed(ties)]
    order = np.lexsort((*keys, times[kept], group[kept]))
    return Timed(members[kept][order], _firsts(group[kept], group_count), times[kept][order])


def _firsts(group: Rows, group_count: int) -> Rows:
    counts = np.bincount(group, minlength=group_count)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
