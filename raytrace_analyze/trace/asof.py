"""As-of searches for many questions at once: "the latest of this group until then"."""

import numpy as np

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.groups import Timed

NEVER = int(np.iinfo(np.int64).min)
"""A time that is not known, earlier than any other."""


def latest_until(timed: Timed, group: RowIds, time: Nanos) -> RowIds:
    """Give for each question the position in `timed.members` of the group's last with a time of at most `time`.

    `group` and `time` (ns) are parallel; -1 where the group has none, for group -1 and for those beyond the last.
    """
    last = timed.first.size - 1
    known = np.clip(group, 0, last)
    low = np.where(group >= 0, timed.first[known], 0)
    high = np.where(group >= 0, timed.first[np.minimum(known + 1, last)], 0)
    first = low.copy()
    # A binary search for all at once: as many rounds as the size of the largest group has bits.
    for _ in range(int((high - low).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        is_open = low < high
        before = is_open & (timed.times[np.minimum(middle, timed.times.size - 1)] <= time)
        low = np.where(before, middle + 1, low)
        high = np.where(is_open & ~before, middle, high)
    return np.where(low > first, low - 1, -1)


def latest_other(timed: Timed, group: RowIds, time: Nanos, own: RowIds) -> RowIds:
    """Like `latest_until`, passing over the member `own` itself."""
    found = latest_until(timed, group, time)
    if timed.members.size == 0:
        return found
    is_own = (found >= 0) & (timed.members[found] == own)
    before = found - 1
    inside = before >= timed.first[np.clip(group, 0, timed.first.size - 1)]
    return np.where(is_own, np.where(inside, before, -1), found)


def times_at(timed: Timed, position: RowIds) -> Nanos:
    """Give the times at positions, NEVER for -1."""
    if timed.times.size == 0:
        return np.full(position.size, NEVER, dtype=np.int64)
    return np.where(position >= 0, timed.times[position], NEVER)


def members_at(timed: Timed, position: RowIds) -> RowIds:
    """Give the members at positions, -1 for -1."""
    if timed.members.size == 0:
        return np.full(position.size, -1, dtype=np.int64)
    return np.where(position >= 0, timed.members[position], -1)
