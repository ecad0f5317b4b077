"""The critical paths of all scopes at once.

While many scopes are under way, one state of each takes a step together with the others. The few that are left then
have long paths: for them the next state of every state is found at once, and the chain of numbers followed. What
neither can settle (input that contradicts itself) is left to `walk`.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from raytrace_analyze.path.predecessors import code
from raytrace_analyze.path.step import Hops, Stepper, Visited
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.vocabulary import Via

_TOGETHER = 256
"""From how many scopes on a step together costs less than finding everything out."""
_SLAB = 1 << 13
"""How many scopes take steps together at most: what they work on stays in the processor's caches."""
_CHUNK = 1 << 18
"""How many states are asked about at a time: bounds the memory, and stays in the processor's caches."""
_ROUNDS = 64
"""How often what contradicting clocks lead to is followed before the rest is left to `walk`."""
_END, _UNKNOWN = -1, -2


@dataclass(frozen=True)
class Paths:
    """The states of many walks: parallel arrays, scope by scope, each from its start to its end."""

    states: Visited
    scope: RowIds
    unsettled: RowIds
    """Scopes that the engine could not settle; there are no states of theirs."""


def find_paths(stepper: Stepper, scopes: RowIds, *, together: int = _TOGETHER) -> Iterator[Paths]:
    """Walk scopes (numbers, each once, in order) from their ends back to their starts; gives some at a time, in order.

    `together` says how many scopes must be under way for a step together.
    """
    steps = _Steps(stepper)
    slabs = _chunks(scopes, _SLAB)
    left = [steps.go_on(slab, together) for slab in slabs]
    scope = steps.go_on(np.concatenate([*left, scopes[:0]]), together)
    rest = _Chains(stepper, scope).follow(steps.row[scope], steps.time[scope]) if scope.size else None
    for slab in slabs or [scopes]:
        first, last = (int(slab[0]), int(slab[-1]) + 1) if slab.size else (0, 0)
        yield steps.in_order(first, last, rest)


class _Steps:
    """Takes steps of many scopes together, and keeps what they came by."""

    def __init__(self, stepper: Stepper) -> None:
        scoped = stepper.scoped
        self._stepper = stepper
        scope_count = scoped.start.size - scoped.span_count
        self.row = np.arange(scoped.span_count, scoped.start.size)
        """By scope: the span where its walk is."""
        self.time = scoped.end[self.row]
        self._taken = np.zeros(scope_count, dtype=np.int64)
        # A walk comes back to no state, so one that takes longer than this goes round in a circle.
        self._limit = 4 * np.bincount(scoped.scope_of[scoped.scope_of >= 0], minlength=scope_count) + 64
        self._parts: list[tuple[Hops, RowIds, RowIds]] = []
        self._circular: list[RowIds] = []

    def go_on(self, scope: RowIds, together: int) -> RowIds:
        """Take steps while enough of some scopes are under way; give those that are left."""
        while scope.size >= max(together, 1):
            hops = self._stepper.take(self.row[scope], self.time[scope])
            self._parts.append((hops, scope, self._taken[scope]))
            self._taken[scope] += 1
            self.row[scope], self.time[scope] = hops.next_row, hops.next_time
            too_long = self._taken[scope] >= self._limit[scope]
            self._circular.append(scope[too_long])
            scope = scope[(hops.next_row >= 0) & ~too_long]
        return scope

    def in_order(self, first: int, last: int, rest: Paths | None) -> Paths:
        """Put the states of the scopes from `first` to before `last`, with the `rest` of walks, into their order."""
        counts = self._taken[first:last].copy()
        unsettled = np.concatenate([*self._circular, *([rest.unsettled] if rest else []), counts[:0]])
        unsettled = unsettled[(unsettled >= first) & (unsettled < last)]
        parts = [
            (states[there], scope[there] - first, number[there])
            for states, scope, number in self._parts
            if (there := _between(scope, first, last)).stop > there.start
        ]
        if rest:
            there = _between(rest.scope, first, last)
            own = rest.scope[there] - first
            more = np.bincount(own, minlength=counts.size)
            # They come before those that were walked first, which count from the end.
            parts.append((rest.states[there], own, (counts + more)[own] - 1 - _numbers_within(own)))
            counts += more
        counts[unsettled - first] = 0
        ends = np.cumsum(counts) - 1
        settled = counts > 0
        if unsettled.size:
            kept = [np.flatnonzero(settled[scope]) for _, scope, _ in parts]
            parts = [(part[0][some], part[1][some], part[2][some]) for part, some in zip(parts, kept, strict=True)]
        states = Visited.scatter(
            [states for states, _, _ in parts], [ends[scope] - number for _, scope, number in parts]
        )
        return Paths(states, np.repeat(np.arange(first, last), counts), unsettled)


def _between(scope: RowIds, first: int, last: int) -> slice:
    """Give where the scopes from `first` to before `last` are; `scope` is in order."""
    begin, end = np.searchsorted(scope, (first, last))
    return slice(int(begin), int(end))


def _numbers_within(groups: RowIds) -> RowIds:
    """Number the elements of each group, which lie together."""
    begins = np.flatnonzero(np.append(True, groups[1:] != groups[:-1])[: groups.size])
    return np.arange(groups.size) - np.repeat(begins, np.diff(np.append(begins, groups.size)))


class _Chains:
    """Knows what follows every state of some scopes.

    States have numbers: that of a span at its end is the span's position; that of coming back from a span's start (to
    its parent or submit) lies as many behind as there are positions; others, which only contradicting clocks bring
    about, lie behind those.
    """

    def __init__(self, stepper: Stepper, scopes: RowIds) -> None:
        self._stepper, self._scoped, self._scopes = stepper, stepper.scoped, scopes
        scoped = stepper.scoped
        wanted = np.zeros(scoped.start.size - scoped.span_count + 1, dtype=np.bool_)
        wanted[scopes] = True
        self._spans = np.flatnonzero(wanted[scoped.scope_of] & ~scoped.detached)
        self._size = scoped.start.size
        root = scoped.span_count + scoped.scope_of
        self._back_row = np.where(scoped.parent >= 0, scoped.parent, root)
        self._other_numbers: dict[tuple[int, int], int] = {}
        self._others: list[tuple[int, int]] = []
        self._next = np.full(2 * self._size, _UNKNOWN, dtype=np.int64)

    def follow(self, row: RowIds, time: Nanos) -> Paths:
        """Walk each scope on from a state of its own."""
        begin = self._number_others(row, time)
        self._find_all()
        following = memoryview(self._next.tobytes()).cast("q")
        met = bytearray(self._next.size)
        path = array("q")
        lengths, unsettled = [], []
        for scope, first in zip(self._scopes.tolist(), begin.tolist(), strict=True):
            before, state = len(path), first
            while state >= 0 and not met[state]:
                met[state] = 1
                path.append(state)
                state = following[state]
            if state != _END:
                unsettled.append(scope)
            lengths.append(len(path) - before)
        states = _reversed(np.array(path, dtype=np.int64), lengths)
        parts: list[Visited] = [self._stepper.take(*self._at(part)) for part in _chunks(states)]
        whole = Visited.scatter(parts, _chunks(np.arange(states.size)))
        return Paths(whole, np.repeat(self._scopes, lengths), np.array(unsettled, dtype=np.int64))

    def _find_all(self) -> None:
        back = self._spans[self._spans < self._scoped.span_count]
        for states in (*_chunks(self._spans), *_chunks(back + self._size)):
            self._next[states] = self._following(states)
        done = 2 * self._size
        for _ in range(_ROUNDS):
            count = 2 * self._size + len(self._others)
            if done == count:
                return
            fresh = np.arange(done, count)
            found = self._following(fresh)
            self._next = np.concatenate([self._next, found])
            done = count
        rest = 2 * self._size + len(self._others) - done
        self._next = np.concatenate([self._next, np.full(rest, _UNKNOWN, dtype=np.int64)])

    def _following(self, states: RowIds) -> RowIds:
        """Give the numbers of the states that follow."""
        row, time = self._at(states)
        hops = self._stepper.take(row, time)
        number = np.where(hops.next_row < 0, _END, _UNKNOWN)
        going = hops.next_row >= 0
        at_end = going & (hops.next_time == self._scoped.end[hops.next_row])
        number[at_end] = hops.next_row[at_end]
        back = going & ~at_end & ((hops.via == code(Via.JOIN)) | (hops.via == code(Via.SUBMIT)))
        back &= hops.next_time == self._scoped.start[row]
        number[back] = row[back] + self._size
        others = np.flatnonzero(going & ~at_end & ~back)
        number[others] = self._number_others(hops.next_row[others], hops.next_time[others])
        return number

    def _at(self, states: RowIds) -> tuple[RowIds, RowIds]:
        """Give the spans and times of states."""
        scoped, size = self._scoped, self._size
        span = np.where(states < size, states, states - size)
        is_other = np.flatnonzero(states >= 2 * size)
        span[is_other] = 0
        row = np.where(states < size, span, self._back_row[span])
        time = np.where(states < size, scoped.end[span], scoped.start[span])
        if is_other.size:
            others = np.array(self._others, dtype=np.int64)[states[is_other] - 2 * size]
            row[is_other], time[is_other] = others.T
        return row, time

    def _number_others(self, row: RowIds, time: Nanos) -> RowIds:
        numbers = []
        for state in zip(row.tolist(), time.tolist(), strict=True):
            number = self._other_numbers.setdefault(state, 2 * self._size + len(self._others))
            if number == 2 * self._size + len(self._others):
                self._others.append(state)
            numbers.append(number)
        return np.array(numbers, dtype=np.int64)


def _chunks(values: RowIds, size: int = _CHUNK) -> list[RowIds]:
    return [values[first : first + size] for first in range(0, values.size, size)]


def _reversed(values: RowIds, lengths: list[int]) -> RowIds:
    """Turn each of several pieces round."""
    last = np.repeat(np.cumsum(lengths), lengths)
    first = last - np.repeat(np.array(lengths, dtype=np.int64), lengths)
    turned: RowIds = values[first + last - 1 - np.arange(values.size)]
    return turned
