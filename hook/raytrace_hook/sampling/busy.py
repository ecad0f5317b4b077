"""When a span's thread had something to do most of the time: on the CPU, or kept from it by others."""

from __future__ import annotations

import heapq
import json

MIN_BUSY_NS = 200_000_000
_MOST = 20
_NEARLY_ALWAYS = 0.75


class BusyStretches:
    """Puts looks in a row at a thread that is busy together, and keeps the longest stretches."""

    def __init__(self) -> None:
        self._now: list[int] | None = None
        """The stretch that goes on: start, end, and how long the thread had something to do in it."""
        self._longest: list[tuple[int, int, int, int]] = []
        """A heap: length, start, end, how long it had something to do."""

    def add(self, before_ns: int, at_ns: int, busy_ns: int) -> None:
        """Take what is known of the time between two looks."""
        now = self._now
        if 2 * busy_ns < at_ns - before_ns:
            if now is not None:
                self.close()
        elif now is None:
            self._now = [before_ns, at_ns, busy_ns]
        else:
            now[1] = at_ns
            now[2] += busy_ns

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
        return json.dumps(sorted(one[1:] for one in known), separators=(",", ":"))

    def _entry(self) -> tuple[int, int, int, int] | None:
        """Return the stretch that goes on as the heap has it; None where there is none, or a short one."""
        now = self._now
        if now is None or now[1] - now[0] < MIN_BUSY_NS:
            return None
        start, end, busy = now
        return end - start, start, end, busy
