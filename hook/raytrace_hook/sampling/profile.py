"""What the sampler has seen of one span: where its thread used the CPU, and where it was idle."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from raytrace_hook import names
from raytrace_hook.sampling import loops, places
from raytrace_hook.sampling.busy import BusyStretches
from raytrace_hook.sampling.places import Place

MIN_STRETCH_NS = 100_000_000
_MIN_DELAY_NS = 10_000_000
MOST_STACKS = 50
_MOST_PLACES = 500
"""As many places are told apart; what comes later is counted without its place."""
_MOST_STRETCHES = 50
_MOST_PLACES_LEFT_OUT = 3
_LONGEST_STACKS = 16_000
_ELSEWHERE: Place = ()


class Look(NamedTuple):
    """One look at a thread, and what its clocks say of the time since the look before."""

    before_ns: int
    at_ns: int
    cpu_ns: int
    """How long it was on a CPU."""
    busy_ns: int
    """The same with the time that it would have been, if there had been one for it."""
    weight: int
    """How many looks it stands for: more than one where the sampler itself had to wait."""
    is_busy: bool
    """Whether it was so at this very look."""
    place: Place
    wait: str | None
    """What it waits in; None where that is known from a span of its own, or it does not wait."""

    @property
    def idle_ns(self) -> int:
        """How much of the time since the look before the thread had nothing to do."""
        return max(0, self.at_ns - self.before_ns - self.busy_ns)

    @property
    def was_idle(self) -> bool:
        """Whether it used next to no CPU since the look before."""
        length_ns = self.at_ns - self.before_ns
        return self.cpu_ns <= max(length_ns // 20, 1_000_000) and 2 * self.busy_ns <= length_ns


@dataclass
class _Stretch:
    start_ns: int
    end_ns: int
    place: Place
    wait: str
    busy_ns: int = 0
    """How long the thread had something to do in between: where it woke up, and went on waiting."""
    looks_ns: int = 0
    """The time that its looks stand for."""
    was_last: bool = False
    """Whether the span ended before the thread was seen anywhere else."""


class _LeftOut:
    """The stretches that are not told one by one, summed."""

    def __init__(self) -> None:
        self.count = 0
        self.busy_ns = 0
        self._idle_ns: dict[tuple[Place, str], int] = {}
        """By where it was, and in what; those beyond the most places together."""

    def add(self, stretch: _Stretch) -> None:
        """Count a stretch."""
        self.count += 1
        self.busy_ns += stretch.busy_ns
        key = (stretch.place, stretch.wait)
        if key not in self._idle_ns and len(self._idle_ns) >= _MOST_PLACES:
            key = (_ELSEWHERE, "")
        self._idle_ns[key] = self._idle_ns.get(key, 0) + stretch.end_ns - stretch.start_ns

    def and_these(self, stretches: Iterable[_Stretch]) -> _LeftOut:
        """Return these and some more."""
        found = _LeftOut()
        found.count, found.busy_ns, found._idle_ns = self.count, self.busy_ns, dict(self._idle_ns)
        for stretch in stretches:
            found.add(stretch)
        return found

    def told(self) -> dict[str, Any]:
        """Return the sums, and where the thread was so for longest."""
        found: dict[str, Any] = {"left_out": self.count, "left_out_ns": sum(self._idle_ns.values())}
        known = ((ns, *key) for key, ns in self._idle_ns.items() if key[0])
        ranked = sorted(known, key=lambda one: -one[0])[:_MOST_PLACES_LEFT_OUT]
        if ranked:
            found["left_out_busy_ns"] = self.busy_ns
            found["left_out_in"] = [{"in": wait, "at": places.site(place), "ns": ns} for ns, place, wait in ranked]
        return found


class Profile:
    """Collects looks at one span's thread, in bounded memory however long it runs."""

    def __init__(self) -> None:
        self.cpu_ns = 0
        """What its thread used; whoever gives the looks keeps it."""
        self.helpers_cpu_ns = 0
        """What other threads of the program used while its thread waited for them."""
        self.cpu_delay_ns = 0
        """How long its thread could have run meanwhile, but others had the CPU, as far as it was looked at."""
        self.process_cpu_ns: int | None = None
        """What all threads of the process used; None where other spans ran in it as well."""
        self._on_cpu: dict[Place, int] = {}
        self._idle: dict[Place, int] = {}
        self._place: Place = _ELSEWHERE
        self._free_from_ns: int | None = None
        """From when on the time until the last look could belong to a stretch that begins."""
        self._open: _Stretch | None = None
        self._busy = BusyStretches()
        self._seen_ns = 0
        """How long it was looked at."""
        self._short_idle_ns = 0
        """What looks stand for that found it idle, as far as no stretch says so."""
        self._longest: list[tuple[int, int, _Stretch]] = []
        """The longest stretches, as a heap."""
        self._left_out = _LeftOut()

    def add(self, look: Look) -> None:
        """Take the next look."""
        if look.is_busy:
            self._count(self._on_cpu, look)
        elif look.wait is not None:
            self._count(self._idle, look)
            self._short_idle_ns += look.at_ns - look.before_ns
        self._seen_ns += look.at_ns - look.before_ns
        self._busy.add(look.before_ns, look.at_ns, look.busy_ns, look.place)
        self._follow(look)

    def stays(self, at_ns: int, weight: int, busy_ns: int) -> bool:
        """Take a look at a thread that is where it was idle at the last one; False where it was not idle then."""
        stretch = self._open
        if stretch is None:
            return False
        length_ns = at_ns - stretch.end_ns
        self._seen_ns += length_ns
        self._short_idle_ns += length_ns
        stretch.looks_ns += length_ns
        stretch.end_ns = at_ns
        stretch.busy_ns += busy_ns
        if stretch.place in self._idle:
            self._idle[stretch.place] += weight
        return True

    def end(self) -> None:
        """Take note that the span has ended."""
        if self._open is not None:
            self._open.was_last = True
        self.pause()

    def pause(self) -> None:
        """Take note that the span does not run now: others may on its thread."""
        self._close()
        self._busy.close()
        self._place, self._free_from_ns = _ELSEWHERE, None

    def _count(self, counts: dict[Place, int], look: Look) -> None:
        place = look.place if look.place in counts or len(counts) < _MOST_PLACES else _ELSEWHERE
        if place:
            counts[place] = counts.get(place, 0) + look.weight

    def _follow(self, look: Look) -> None:
        """Prolong the present stretch, or end it and see whether another begins.

        What is idle between two looks at different places is the first's, the second's, or half of each.
        """
        if look.was_idle and look.place and look.place == self._place:
            if self._open is not None:
                self._open.busy_ns += look.busy_ns
            elif look.wait is not None:
                start = look.before_ns if self._free_from_ns is None else self._free_from_ns
                self._open = _Stretch(start, look.at_ns, look.place, look.wait)
            if self._open is not None:
                self._open.end_ns = look.at_ns
                self._open.looks_ns += look.at_ns - look.before_ns if look.wait is not None else 0
            return
        idle_ns = look.idle_ns
        if self._open is not None:
            idle_ns //= 2
            self._open.end_ns = look.before_ns + idle_ns
            self._close()
        self._place, self._free_from_ns = look.place, look.at_ns - idle_ns

    def _close(self) -> None:
        stretch, self._open = self._open, None
        if stretch is None or stretch.end_ns - stretch.start_ns < MIN_STRETCH_NS:
            return
        self._short_idle_ns -= stretch.looks_ns
        entry = (stretch.end_ns - stretch.start_ns, stretch.start_ns, stretch)
        if len(self._longest) < _MOST_STRETCHES:
            heapq.heappush(self._longest, entry)
        else:
            self._left_out.add(heapq.heappushpop(self._longest, entry)[2])

    def attributes(self, longest: int = _LONGEST_STACKS) -> dict[str, Any]:
        """Return what is known by now as a span's attributes, the texts cut to about so many characters each."""
        cpu_ns = self.cpu_ns + self.helpers_cpu_ns
        found: dict[str, Any] = {names.CPU_NS: cpu_ns}
        if self.cpu_delay_ns >= _MIN_DELAY_NS:
            found[names.CPU_DELAY_NS] = self.cpu_delay_ns
        if self.process_cpu_ns is not None:
            found[names.PROCESS_CPU_NS] = max(self.process_cpu_ns, cpu_ns)
        stacks = self._stacks(longest)
        if stacks:
            found[names.STACKS] = stacks
        idle = self._stretches(longest)
        if idle:
            found[names.IDLE] = idle
        busy = self._busy.told(self._seen_ns, cpu_ns)
        if busy:
            found[names.BUSY] = busy
        return found

    def idle_in(
        self, calls: Collection[str], endings: tuple[str, ...], ended_ns: int
    ) -> list[tuple[int, int, str, str]]:
        """Return the longest stretches in some calls, or in those whose names end so.

        Each as start and end (ns), the call, and its `file:line`.

        The span ended at `ended_ns`: so did a stretch after which the thread was seen nowhere else.
        """
        stretches = sorted((entry[2] for entry in list(self._longest)), key=lambda one: one.start_ns)
        return [
            (one.start_ns, ended_ns if one.was_last else one.end_ns, one.wait, places.site(one.place))
            for one in stretches
            if one.wait in calls or one.wait.endswith(endings)
        ]

    def _stacks(self, longest: int) -> str:
        counted: dict[str, int] = {}
        for state, counts in (("cpu", self._on_cpu), ("idle", self._idle)):
            for place, count in list(counts.items()):
                line = f"{state};{places.folded(place)}"
                counted[line] = counted.get(line, 0) + count
        ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
        lines = (f"{stack} {count}" for stack, count in ranked[:MOST_STACKS])
        return "\n".join(_fitting(lines, longest))

    def _stretches(self, longest: int) -> str:
        known = [entry[2] for entry in list(self._longest)]
        still = self._open
        if still is not None and still.end_ns - still.start_ns >= MIN_STRETCH_NS:
            known.append(still)
        by_length = sorted(known, key=lambda one: one.start_ns - one.end_ns)
        often = Counter(one.place for one in known)
        texts = {id(one): _encoded(one, again=often[one.place] > 1) for one in by_length}
        kept = by_length[: len(list(_fitting(texts.values(), longest)))]
        left_out = self._left_out.and_these(by_length[len(kept) :])
        short_ns = self._short_idle_ns - (still.looks_ns if still in known else 0)
        if not kept and not left_out.count and short_ns < MIN_STRETCH_NS:
            return ""
        shown = ",".join(texts[id(one)] for one in sorted(kept, key=lambda one: one.start_ns))
        rest = left_out.told() | ({"short_ns": short_ns} if short_ns >= MIN_STRETCH_NS else {})
        return f'{{"stretches":[{shown}],{json.dumps(rest, separators=(",", ":"))[1:]}'


def _encoded(stretch: _Stretch, *, again: bool) -> str:
    """Return a stretch as JSON; `again` where there are others in the same place."""
    told: dict[str, Any] = {
        "start_ns": stretch.start_ns,
        "end_ns": stretch.end_ns,
        "in": stretch.wait,
        "at": places.site(stretch.place),
    }
    if stretch.busy_ns:
        told["busy_ns"] = stretch.busy_ns
    if (stretch.busy_ns or again) and loops.looks_for_something(places.codes(stretch.place)):
        told["loops" if stretch.busy_ns else "again"] = True
    return json.dumps(told, separators=(",", ":"))


def _fitting(texts: Iterable[str], longest: int) -> Iterable[str]:
    for text in texts:
        longest -= len(text) + 1
        if longest < 0:
            return
        yield text
