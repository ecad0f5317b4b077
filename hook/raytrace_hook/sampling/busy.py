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
        now, self._now = self._now, None
        if now is not None and now[1] - now[0] >= MIN_BUSY_NS:
            entry = (now[1] - now[0], now[0], now[1], now[2])
            if len(self._longest) < _MOST:
                heapq.heappush(self._longest, entry)
            else:
                heapq.heappushpop(self._longest, entry)

    def told(self, seen_ns: int, cpu_ns: int) -> str:
        """Return them as JSON; nothing if there are none, or the CPU time of all that was looked at says it already."""
        known, now = list(self._longest), self._now
        if now is not None and now[1] - now[0] >= MIN_BUSY_NS:
            known.append((now[1] - now[0], now[0], now[1], now[2]))
        if not known or cpu_ns > _NEARLY_ALWAYS * seen_ns:
            return ""
        return json.dumps(sorted(one[1:] for one in known), separators=(",", ":"))
