"""When a span's thread had something to do most of the time: on the CPU, or kept from it by others."""

from __future__ import annotations

import heapq
import json
from typing import Any

from raytrace_hook.sampling import places
from raytrace_hook.sampling.places import Place

MIN_BUSY_NS = 200_000_000
_MOST = 20
_MOST_PLACES = 100
_NEARLY_ALWAYS = 0.75


class _Stretch:
    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self.end_ns = start_ns
        self.busy_ns = 0
        self.imports_ns = 0
        """How much of it modules were imported."""
        self._at: dict[Place, int] = {}
        """By the program's innermost frame: for how long it was there."""

    def add(self, at_ns: int, busy_ns: int, place: Place) -> None:
        length_ns = at_ns - self.end_ns
        self.end_ns = at_ns
        self.busy_ns += busy_ns
        own = places.own_frame(place)
        if own and (own in self._at or len(self._at) < _MOST_PLACES):
            self._at[own] = self._at.get(own, 0) + length_ns
            self.imports_ns += length_ns if places.is_importing(place) else 0

    def told(self) -> list[Any]:
        """Return its start, end, and how long the thread had something to do; where it was most, and importing."""
        by_line: dict[str, int] = {}
        for frame, took_ns in list(self._at.items()):
            line = places.site(frame)
            by_line[line] = by_line.get(line, 0) + took_ns
        there = [max(by_line, key=lambda line: by_line[line]), self.imports_ns] if by_line else []
        return [self.start_ns, self.end_ns, self.busy_ns, *there]


class BusyStretches:
    """Puts looks in a row at a thread that is busy together, and keeps the longest stretches."""

    def __init__(self) -> None:
        self._now: _Stretch | None = None
        """The stretch that goes on."""
        self._longest: list[tuple[int, list[Any]]] = []
        """A heap: length, and what is told of it."""

    def add(self, before_ns: int, at_ns: int, busy_ns: int, place: Place = ()) -> None:
        """Take what is known of the time between two looks, and where the thread was at the second."""
        if 2 * busy_ns < at_ns - before_ns:
            if self._now is not None:
                self.close()
            return
        if self._now is None:
            self._now = _Stretch(before_ns)
        self._now.add(at_ns, busy_ns, place)

    def close(self) -> None:
        """Take note that the stretch is over."""
        entry, self._now = self._entry(), None
        if entry is not None:
            if len(self._longest) < _MOST:
                heapq.heappush(self._longest, entry)
            else:
                heapq.heappushpop(self._longest, entry)

    def told(self, seen_ns: int, cpu_ns: int) -> str:
        """Return them as JSON; nothing if there are none, or the CPU time of all that was looked at says it already."""
        known, entry = list(self._longest), self._entry()
        if entry is not None:
            known.append(entry)
        if not known or cpu_ns > _NEARLY_ALWAYS * seen_ns:
            return ""
        return json.dumps(sorted(one for _, one in known), separators=(",", ":"))

    def _entry(self) -> tuple[int, list[Any]] | None:
        """Return the stretch that goes on as the heap has it; None where there is none, or a short one."""
        now = self._now
        if now is None or now.end_ns - now.start_ns < MIN_BUSY_NS:
            return None
        return now.end_ns - now.start_ns, now.told()
