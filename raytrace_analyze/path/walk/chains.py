"""Long critical paths: what follows a state is found out for many states at once, and the chain of numbers followed.

A walk is a chain: each state has one that follows. A walk through many spans asks about the states it comes to one
after the other, and asking about one costs as much as asking about hundreds together. So what is likely to come next is
asked about with it, the spans of its process that ended last before, and every time twice as many: a short path asks
about little, a long one seldom, and about no span more than once. Where a walk came to few of those, it goes from one
process to another, and is asked about with those of all processes; where it came to few of them, too, it goes on alone
for a while.
"""

from array import array
from functools import partial

import numpy as np

from raytrace_analyze.path.walk.hops import FETCH, Visited
from raytrace_analyze.path.walk.last_first import LastFirst
from raytrace_analyze.path.walk.step import Stepper
from raytrace_analyze.path.walk.via import code
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import Via

_CHUNK = 1 << 18
"""How many states are asked about at a time: bounds the memory, and stays in the processor's caches."""
_COSTS, _COSTS_EACH = 8.0, 0.005
"""What it costs to ask about many spans at once, and about each of them: in states asked about alone."""
_LANES = 64
"""Into how many groups processes are put: a walk that comes to very many of them asks for no more than these."""
_ALONE = 32
"""How many states are asked about alone after too many were asked in vain; every time twice as many."""
_END = -1
_UNKNOWN = -4
"""In place of twice a number."""


@frozen
class Paths:
    """The states of many walks: parallel arrays, scope by scope, each from its start to its end."""

    states: Visited
    scope: RowIds
    barred: Flags
    """Waits whose step was not taken, since it would lead into a state that a wait of the walk had led to before."""

    def __getitem__(self, chosen: RowIds | Flags) -> "Paths":
        return Paths(self.states[chosen], self.scope[chosen], self.barred[chosen])

    def merged(self, other: "Paths") -> "Paths":
        """Put the walks of other scopes with these, in order of the scopes."""
        scope = np.concatenate([self.scope, other.scope])
        order = np.argsort(scope, kind="stable")
        places = np.split(np.argsort(order), [self.scope.size])
        states = Visited.scatter([self.states, other.states], places)
        return Paths(states, scope[order], np.concatenate([self.barred, other.barred])[order])


class Chains:
    """Follows walks of some scopes, from state to state.

    States have numbers: that of a span at its end is the span's position; that of coming back from a span's start (to
    its parent or submit) lies as many behind as there are positions; others lie behind those.
    """

    def __init__(self, stepper: Stepper, scopes: RowIds) -> None:
        self._stepper, self._scoped = stepper, stepper.scoped
        scoped = stepper.scoped
        number = np.full(scoped.start.size - scoped.span_count + 1, -1, dtype=np.int64)
        number[scopes] = np.arange(scopes.size)
        spans = np.flatnonzero((number[scoped.scope_of] >= 0) & ~scoped.detached)
        spans = spans[np.argsort(scoped.end[spans], kind="stable")]
        scope_of = number[scoped.scope_of]
        self._of_process = LastFirst(spans, scoped.end, scope_of * _LANES + _lanes(scoped), scopes.size * _LANES)
        self._make_of_all = partial(LastFirst, spans, scoped.end, scope_of, scopes.size)
        self._of_all: LastFirst | None = None  # few walks need it
        self._likely = self._of_process
        """What is asked about together: of each process apart, or of all of them."""
        self._size = scoped.start.size
        root = scoped.span_count + scoped.scope_of
        self._back_row = np.where(scoped.parent >= 0, scoped.parent, root)
        self._other_numbers: dict[tuple[int, int], int] = {}
        self._others: list[tuple[int, int]] = []
        self._next = np.full(2 * self._size, _UNKNOWN, dtype=np.int64)
        """By state: twice the number of the one that follows, and one more where a wait leads there."""
        self._next_of_others: list[int] = []
        self._unasked: list[int] = []
        """Those of the others about which nothing has been asked, but for some that have."""
        self._asked = 0
        """How many spans were asked about together, the last time."""
        self._alone, self._next_alone = 0, _ALONE

    def follow(self, scopes: RowIds, row: RowIds, time: Nanos, floor: int | None = None) -> Paths:
        """Walk each scope on from a state of its own, to its start or at least back to `floor` (ns)."""
        path, barred = array("q"), array("q")
        lengths = []
        for state in self._numbers(row, time):
            before = len(path)
            self._follow(state, path, barred, floor)
            lengths.append(len(path) - before)
        states, stopped = np.array(path, dtype=np.int64), np.zeros(len(path), dtype=np.bool_)
        stopped[np.array(barred, dtype=np.int64)] = True
        order = _turned(lengths)
        states, stopped = states[order], stopped[order]
        parts: list[Visited] = [
            self._stepper.take(*self._at(states[part]), stopped[part] if barred else None)
            for part in _chunks(order.size)
        ]
        whole = Visited.scatter(parts, [np.arange(part.start, part.stop) for part in _chunks(order.size)])
        return Paths(whole, np.repeat(scopes, lengths), stopped)

    def _follow(self, state: int, path: "array[int]", barred: "array[int]", floor: int | None) -> None:
        """Add the states of a walk to `path`, and to `barred` the places of waits that would close a circle."""
        regular, others, known = self._next.data, self._next_of_others, 2 * self._size
        append = path.append
        led_to: set[int] = set()
        found_out = len(path)
        while state >= 0:
            following = regular[state] if state < known else others[state - known]
            if following == _UNKNOWN:
                if floor is not None and int(self._at(np.array([state]))[1][0]) <= floor:
                    return
                self._find_out(state, len(path) - found_out)
                found_out = len(path)
                continue
            if following >= 0 and following & 1:
                if following in led_to:
                    barred.append(len(path))
                    following = int(self._following(np.array([state]), np.ones(1, dtype=np.bool_))[0])
                else:
                    led_to.add(following)
            append(state)
            state = following >> 1

    def _find_out(self, state: int, came: int) -> None:
        """Find out what follows a state, and others that a walk is likely to come to from it.

        `came` is how many states the walk came to since the last time.
        """
        known = 2 * self._size
        if state >= known:
            asked = np.array([number for number in self._unasked if self._next_of_others[number] == _UNKNOWN])
            self._unasked = []
            for part in _chunks(asked.size):
                for number, following in zip(
                    asked[part].tolist(), self._following(asked[part] + known).tolist(), strict=True
                ):
                    self._next_of_others[number] = following
            return
        if self._asked:
            self._learn(in_vain=came < _COSTS + _COSTS_EACH * self._asked)
            self._asked = 0
        likely = self._likely_after(state) if self._alone == 0 else ()
        if len(likely) == 0:
            self._alone = max(self._alone - 1, 0)
            self._next[state] = self._following_alone(state)
            return
        states = np.append(likely, state)
        for part in _chunks(states.size):
            self._next[states[part]] = self._following(states[part])

    def _learn(self, *, in_vain: bool) -> None:
        """Go on with what is asked about together by whether the walk came to enough of it the last time."""
        if not in_vain:
            self._likely.asking *= 2
            self._alone, self._next_alone = 0, _ALONE
        elif self._likely is self._of_process:
            self._of_all = self._of_all or self._make_of_all()
            self._likely = self._of_all
        else:
            self._likely = self._of_process
            self._alone = self._next_alone
            self._next_alone *= 2

    def _likely_after(self, state: int) -> RowIds:
        """Give the states of spans that ended last before a state, at their ends and on the way back."""
        row, time = (int(values[0]) for values in self._at(np.array([state])))
        spans = self._likely.take(row, time)
        self._asked = spans.size
        states = np.concatenate([spans, spans[spans < self._scoped.span_count] + self._size])
        likely: RowIds = states[(self._next[states] == _UNKNOWN) & (states != state)]
        return likely

    def _following(self, states: RowIds, barred: Flags | None = None) -> RowIds:
        """Give the numbers of the states that follow, as `_next` has them."""
        row, time = self._at(states)
        hops = self._stepper.take(row, time, barred)
        number = np.full(states.size, _END, dtype=np.int64)
        going = hops.next_row >= 0
        at_end = going & (hops.next_time == self._scoped.end[hops.next_row])
        number[at_end] = hops.next_row[at_end]
        back = going & ~at_end & ((hops.via == code(Via.JOIN)) | (hops.via == code(Via.SUBMIT)))
        back &= hops.next_time == self._scoped.start[row]
        number[back] = row[back] + self._size
        others = np.flatnonzero(going & ~at_end & ~back)
        number[others] = self._numbers(hops.next_row[others], hops.next_time[others])
        number *= 2
        number += going & ((hops.category == FETCH) | (hops.via == code(Via.WAIT)))
        return number

    def _following_alone(self, state: int) -> int:
        """Give what `_following` does for one state, of a span: without arrays, in half of the time."""
        scoped = self._scoped
        span = state if state < self._size else state - self._size
        row, time = (span, scoped.end[span]) if state < self._size else (self._back_row[span], scoped.start[span])
        hops = self._stepper.take(np.array([row]), np.array([time]))
        next_row, next_time, via = int(hops.next_row[0]), int(hops.next_time[0]), hops.via[0]
        if next_row < 0:
            return 2 * _END
        if next_time == scoped.end[next_row]:
            number = next_row
        elif (via == code(Via.JOIN) or via == code(Via.SUBMIT)) and next_time == scoped.start[row]:
            number = int(row) + self._size
        else:
            (number,) = self._numbers(hops.next_row, hops.next_time)
        return 2 * number + int(hops.category[0] == FETCH or via == code(Via.WAIT))

    def _at(self, states: RowIds) -> tuple[RowIds, RowIds]:
        """Give the spans and times of states."""
        scoped, size = self._scoped, self._size
        span = np.where(states < size, states, states - size)
        is_other = np.flatnonzero(states >= 2 * size)
        span[is_other] = 0
        row = np.where(states < size, span, self._back_row[span])
        time = np.where(states < size, scoped.end[span], scoped.start[span])
        if is_other.size:
            others = np.array([self._others[number] for number in (states[is_other] - 2 * size).tolist()])
            row[is_other], time[is_other] = others.T
        return row, time

    def _numbers(self, row: RowIds, time: Nanos) -> list[int]:
        """Give the numbers of states by span and time, new ones where they have none yet."""
        numbers = []
        at_end = (time == self._scoped.end[row]).tolist()
        for state, ended in zip(zip(row.tolist(), time.tolist(), strict=True), at_end, strict=True):
            number = state[0] if ended else self._other_numbers.get(state, 2 * self._size + len(self._others))
            if number == 2 * self._size + len(self._others):
                self._other_numbers[state] = number
                self._others.append(state)
                self._next_of_others.append(_UNKNOWN)
                self._unasked.append(len(self._others) - 1)
            numbers.append(number)
        return numbers


def _lanes(scoped: Scoped) -> RowIds:
    """Number the processes of spans, from 0 to before `_LANES`, by their ids alone; 0 for what is in none."""
    lanes = np.zeros(scoped.start.size, dtype=np.int64)
    pid = scoped.structure.spans.get_column("pid").fill_null(0).to_numpy()
    lanes[: pid.size] = pid % _LANES
    return lanes


def _chunks(size: int) -> list[slice]:
    return [slice(first, min(first + _CHUNK, size)) for first in range(0, size, _CHUNK)]


def _turned(lengths: list[int]) -> RowIds:
    """Give the order that turns each of several pieces, one after another, round."""
    last = np.repeat(np.cumsum(lengths), lengths).astype(np.int64)
    first = last - np.repeat(np.array(lengths, dtype=np.int64), lengths)
    turned: RowIds = first + last - 1 - np.arange(last.size)
    return turned
