"""The critical paths of all scopes at once.

While many scopes are under way, one state of each takes a step together with the others. The few that are left then
have long paths: for them `chains` finds what follows the states they come to, many at a time.
"""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.path.walk.chains import Chains, Paths
from raytrace_analyze.path.walk.hops import Hops, Visited
from raytrace_analyze.path.walk.step import Stepper
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.groups import numbers_within

_TOGETHER = 256
"""From how many scopes on a step together costs less than finding out what follows one state after another."""
_SLAB = 1 << 13
"""How many scopes take steps together at most: what they work on stays in the processor's caches."""


def find_paths(stepper: Stepper, scopes: RowIds, *, together: int = _TOGETHER) -> Iterator[Paths]:
    """Walk scopes (numbers, each once, in order) from their ends back to their starts; gives some at a time, in order.

    `together` says how many scopes must be under way for a step together.
    """
    steps = _Steps(stepper)
    slabs = [scopes[first : first + _SLAB] for first in range(0, scopes.size, _SLAB)]
    left = [steps.go_on(slab, together) for slab in slabs]
    steps.go_on(np.concatenate([*left, scopes[:0]]), together)
    rest = steps.finish()
    for slab in slabs or [scopes]:
        first, last = (int(slab[0]), int(slab[-1]) + 1) if slab.size else (0, 0)
        yield steps.in_order(first, last, rest)


class _Steps:
    """Takes steps of many scopes together, and keeps what they came by."""

    def __init__(self, stepper: Stepper) -> None:
        scoped = stepper.scoped
        self._stepper = stepper
        scope_count = scoped.start.size - scoped.span_count
        self._row = np.arange(scoped.span_count, scoped.start.size)
        """By scope: the span where its walk is."""
        self._time = scoped.end[self._row]
        self._taken = np.zeros(scope_count, dtype=np.int64)
        self._under_way = np.zeros(scope_count, dtype=np.bool_)
        # A walk comes back to no state, so one that takes longer than this goes round in a circle.
        self._limit = 4 * np.bincount(scoped.scope_of[scoped.scope_of >= 0], minlength=scope_count) + 64
        self._parts: list[tuple[Hops | Visited, RowIds, RowIds]] = []
        self._walked_again = False
        """Whether some scopes' steps do not count, since they were walked again from the beginning."""

    def go_on(self, scope: RowIds, together: int) -> RowIds:
        """Take steps while enough of some scopes are under way; give those that are left."""
        self._under_way[scope] = True
        while scope.size >= max(together, 1):
            hops = self._stepper.take(self._row[scope], self._time[scope])
            self._parts.append((hops, scope, self._taken[scope]))
            self._taken[scope] += 1
            self._row[scope], self._time[scope] = hops.next_row, hops.next_time
            self._under_way[scope] = hops.next_row >= 0
            scope = scope[self._under_way[scope] & (self._taken[scope] < self._limit[scope])]
        return scope

    def finish(self) -> Paths:
        """Walk what is under way to its end, state by state; what goes round in a circle from its beginning."""
        scope = np.flatnonzero(self._under_way)
        chains = Chains(self._stepper, scope)
        circular = self._taken[scope] >= self._limit[scope]
        rest = chains.follow(scope[~circular], self._row[scope[~circular]], self._time[scope[~circular]])
        # A step that was barred tells of a circle: what was walked before counts for it too.
        again = np.union1d(scope[circular], rest.scope[rest.barred][self._taken[rest.scope[rest.barred]] > 0])
        if again.size == 0:
            return rest
        self._walked_again = True
        self._taken[again] = 0
        root = self._stepper.scoped.span_count + again
        from_root = chains.follow(again, root, self._stepper.scoped.end[root])
        return rest[~np.isin(rest.scope, again)].merged(from_root)

    def in_order(self, first: int, last: int, rest: Paths) -> Paths:
        """Put the states of the scopes from `first` to before `last`, with the `rest` of walks, into their order."""
        taken = self._taken[first:last]
        parts = [
            (states[there], scope[there] - first, number[there])
            for states, scope, number in self._parts
            if (there := _between(scope, first, last)).stop > there.start
        ]
        if self._walked_again:
            kept = [np.flatnonzero(number < taken[scope]) for _, scope, number in parts]
            parts = [(part[0][some], part[1][some], part[2][some]) for part, some in zip(parts, kept, strict=True)]
        there = _between(rest.scope, first, last)
        own = rest.scope[there] - first
        sizes = np.bincount(own, minlength=taken.size)
        counts = taken + sizes
        # They come before those that were walked first, which count from the end.
        parts.append((rest.states[there], own, counts[own] - 1 - numbers_within(sizes)))
        ends = np.cumsum(counts) - 1
        places = [ends[scope] - number for _, scope, number in parts]
        states = Visited.scatter([states for states, _, _ in parts], places)
        barred = np.zeros(states.row.size, dtype=np.bool_)
        barred[places[-1]] = rest.barred[there]
        return Paths(states, np.repeat(np.arange(first, last), counts), barred)


def _between(scope: RowIds, first: int, last: int) -> slice:
    """Give where the scopes from `first` to before `last` are; `scope` is in order."""
    begin, end = np.searchsorted(scope, (first, last))
    return slice(int(begin), int(end))
