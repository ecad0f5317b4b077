"""Rows in groups, each group in order of time: "the latest of these that ended by then"."""

from collections.abc import Callable

import numpy as np

from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.values import frozen

_SMALL = 1 << 16


@frozen
class Grouped:
    """Members sorted by group and, within it, from the least to the greatest by the keys they were grouped with."""

    members: RowIds
    first: RowIds
    """Where each group begins in `members`; one element more than there are groups."""

    def of(self, group: int) -> RowIds:
        """Give a group's members, the greatest last; none for group -1."""
        if group < 0:
            return self.members[:0]
        return self.members[self.first[group] : self.first[group + 1]]


@frozen
class Timed(Grouped):
    """Members whose first key is a time."""

    times: Nanos
    """The time of each element of `members`."""

    def until(self, group: int, time: int) -> range:
        """Give the positions in `members` of those with a time of at most `time`, the latest first."""
        if group < 0:
            return range(0)
        low, high = int(self.first[group]), int(self.first[group + 1])
        end = low + int(np.searchsorted(self.times[low:high], time, side="right"))
        return range(end - 1, low - 1, -1)

    @property
    def groups(self) -> RowIds:
        """The group of each element of `members`."""
        return np.repeat(np.arange(self.first.size - 1), np.diff(self.first))

    def where(self, chosen: Flags) -> "Timed":
        """Give some of the members, in the same groups."""
        first = np.concatenate([[0], np.cumsum(chosen)])[self.first]
        return Timed(self.members[chosen], first, self.times[chosen])


def positions(chosen: Flags | RowIds) -> RowIds:
    """Give the positions of what is true, or not 0: as `flatnonzero`, at a fifth of the cost where there is little."""
    found: RowIds = chosen.nonzero()[0]
    return found


def numbers_within(sizes: RowIds) -> RowIds:
    """Number the elements of groups of these sizes, which lie one after another: 0, 1, 2, 0, 1, ..."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def group_by_time(group: RowIds, group_count: int, members: RowIds, times: Nanos, *ties: RowIds) -> Timed:
    """Group `members` by `group`, each in order of `times`; of equal times the one with greater `ties` comes later.

    All arrays are parallel; a group of -1 means in none. The first of `ties` weighs most.
    """
    if group.min(initial=0) < 0:
        kept = np.flatnonzero(group >= 0)
        group, members, times, ties = group[kept], members[kept], times[kept], tuple(tie[kept] for tie in ties)
    # Of those that nothing tells apart the one that was given first comes first.
    order = latest_last(times, ties, lambda some: some)
    return group_sorted(group[order], group_count, members[order], times[order])


def group_sorted(group: RowIds, group_count: int, members: RowIds, times: Nanos) -> Timed:
    """Group `members` by `group` (-1: in none), each in the order given, which is that of `times`."""
    if group.min(initial=0) < 0:
        kept = np.flatnonzero(group >= 0)
        group, members, times = group[kept], members[kept], times[kept]
    first = _firsts(group, group_count)
    if group_count > 1:
        # numpy sorts small numbers by their digits, in a fraction of the time.
        order = np.argsort(group.astype(np.uint16) if group_count <= _SMALL else group, kind="stable")
        members, times = members[order], times[order]
    return Timed(members, first, times)


def latest_last(times: Nanos, ties: tuple[RowIds, ...], ids: Callable[[RowIds], RowIds]) -> RowIds:
    """Give the order that puts the latest of `times` last; of equal times the one with greater `ties`, then greater id.

    `ids` gives the ranks of some elements' ids among each other; it is asked for those only that nothing else tells
    apart, since ranking strings takes longer than all the rest.
    """
    order = np.argsort(times)
    equal = _runs_of_equals(times[order])
    if equal.size == 0:
        return order
    tied = order[equal]
    tied = tied[np.lexsort((*reversed([tie[tied] for tie in ties]), times[tied]))]
    same = _runs_of_equals(times[tied], *(tie[tied] for tie in ties))
    if same.size:
        alike = tied[same]
        rank = ids(alike)
        tied[same] = alike[np.lexsort((rank, *reversed([tie[alike] for tie in ties]), times[alike]))]
    order[equal] = tied
    return order


def _runs_of_equals(*keys: RowIds) -> RowIds:
    """Give the positions of the elements that equal a neighbour in all keys."""
    next_equals = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    equals = np.zeros(keys[0].size, dtype=np.bool_)
    equals[1:] = next_equals
    equals[:-1] |= next_equals
    return np.flatnonzero(equals)


def group_in_order(group: RowIds, group_count: int, members: RowIds, place: RowIds, times: Nanos) -> Timed:
    """Group `members` by `group` (-1: in none), each in the order of `place`: its number in an order by time.

    All arrays are parallel; places are at least 0, and equal ones come in any order.
    """
    if group.min(initial=0) < 0:
        kept = np.flatnonzero(group >= 0)
        group, members, place, times = group[kept], members[kept], place[kept], times[kept]
    # One key to sort by: several times as fast as sorting by two.
    key = group * (int(place.max(initial=0)) + 1)
    key += place
    order = np.argsort(key)
    return Timed(members[order], _firsts(group, group_count), times[order])


def _firsts(group: RowIds, group_count: int) -> RowIds:
    first = np.zeros(group_count + 1, dtype=np.int64)
    np.cumsum(np.bincount(group, minlength=group_count), out=first[1:])
    return first
