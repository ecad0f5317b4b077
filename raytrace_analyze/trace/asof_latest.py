"""The latest of this group that ended by then, for many groups and times at once."""

from functools import cached_property

import numpy as np

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.groups import Timed

_STEPS_ONE_BY_ONE = 4
"""How many members to pass over one by one before asking for the longer steps over members of no length."""

_FEW = 12
"""Up to how many searches one after another cost less than all of them together."""
_MANY = 16
"""How many members a search alone passes over at most."""


class Latest:
    """Finds, in groups ordered by when their members ended, the latest that fits."""

    def __init__(self, timed: Timed, start: Nanos) -> None:
        """Take the groups, and the start of every row (not only of members)."""
        self.members, self.first, self.times = timed.members, timed.first, timed.times
        self._start = start

    def before(self, group: RowIds, since: Nanos, until: Nanos, begun_before: Nanos | None = None) -> RowIds:
        """Give for each question the position of the group's latest member in (since, until] that began before `until`.

        All arrays are parallel; -1 where there is none, and for group -1. The position is that in `members` and
        `times`. With `begun_before`, times of at most `until`, members must have begun before those.
        """
        begun_before = until if begun_before is None else begun_before
        if group.size <= _FEW and self.members.size:
            few = [
                self._one_before(*question)
                for question in zip(*(values.tolist() for values in (group, since, until, begun_before)), strict=True)
            ]
            if None not in few:
                return np.array(few, dtype=np.int64)
        found = np.full(group.size, -1, dtype=np.int64)
        if self.members.size == 0:
            return found
        # For group -1 this asks the last element, of which there is none more.
        low, high = self.first[group], self.first[group + 1]
        asked = np.flatnonzero((high > low) & (group >= 0))
        if asked.size == 0:
            return found
        low = low[asked]
        position = self._last_until(low, high[asked], until[asked])
        rounds = 0
        while True:
            inside = np.flatnonzero(position >= low)
            inside = inside[self.times[position[inside]] > since[asked[inside]]]
            asked, low, position = asked[inside], low[inside], position[inside]
            if asked.size == 0:
                return found
            began = self._start[self.members[position]] < begun_before[asked]
            found[asked[began]] = position[began]
            asked, low, position = asked[~began], low[~began], position[~began]
            rounds += 1
            if rounds > _STEPS_ONE_BY_ONE:
                just_then = self.times[position] == until[asked]
                position = np.where(just_then, self._before_instants[position], position - 1)
            else:
                position = position - 1

    def _one_before(self, group: int, since: int, until: int, begun_before: int) -> int | None:
        """Answer one question of `before`; None where very many members would have to be passed over."""
        if group < 0:
            return -1
        low, high = self.first[group], self.first[group + 1]
        position = int(low + self.times[low:high].searchsorted(until, side="right")) - 1
        for _ in range(_MANY):
            if position < low or self.times[position] <= since:
                return -1
            if self._start[self.members[position]] < begun_before:
                return position
            position -= 1
        return None

    def sizes(self, group: RowIds) -> RowIds:
        """Give how many members groups have; none for -1."""
        known = np.maximum(group, 0)
        return np.where(group >= 0, self.first[np.minimum(known + 1, self.first.size - 1)] - self.first[known], 0)

    def members_at(self, position: RowIds) -> RowIds:
        """Give the members at positions, -1 for -1."""
        return np.where(position >= 0, self.members[position], -1) if self.members.size else position

    def times_at(self, position: RowIds) -> Nanos:
        """Give the times at positions, any for -1."""
        return self.times[position] if self.members.size else position

    def _last_until(self, low: RowIds, high: RowIds, until: Nanos) -> RowIds:
        """Give the last position in [low, high) with a time of at most `until`, low - 1 where there is none."""
        position = high - 1
        late = np.flatnonzero((position >= low) & (self.times[position] > until))
        if late.size == 0:
            return position
        least, most, wanted = low[late], position[late], until[late]
        if (least == least[0]).all() and (most == most[0]).all():
            group = self.times[least[0] : most[0]]
            position[late] = least[0] + np.searchsorted(group, wanted, side="right") - 1
            return position
        while True:
            is_open = np.flatnonzero(least < most)
            if is_open.size == 0:
                position[late] = least - 1
                return position
            middle = (least[is_open] + most[is_open]) >> 1
            after = self.times[middle] > wanted[is_open]
            most[is_open[after]] = middle[after]
            least[is_open[~after]] = middle[~after] + 1

    @cached_property
    def _before_instants(self) -> RowIds:
        """Give for each position the one before it that is not of the same time, or of a member that lasted.

        When a member of no length that ended just then does not fit, neither do the others of that time.
        """
        numbers = np.arange(self.members.size)
        begins = np.ones(self.members.size, dtype=np.bool_)
        begins[1:] = self.times[1:] != self.times[:-1]
        lasted = self._start[self.members] < self.times
        before = np.maximum.accumulate(np.where(lasted, numbers, np.where(begins, numbers - 1, -1)))
        # A member's own number must not be found: look from the one before it.
        return np.where(begins, numbers - 1, np.concatenate([[-1], before[:-1]]))
