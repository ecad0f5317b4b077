"""What the asynchronous method that runs here waits for, apart from what it waits for in Ray."""

from __future__ import annotations

import contextvars

_LEAST_NS = 5_000_000
"""Beside waits for results of Ray's, what is shorter is the way to them and back to the coroutine."""


class Flow:
    """One run of an asynchronous method, with all that it has started."""

    __slots__ = ("ended", "going_on", "span_id")

    def __init__(self) -> None:
        self.going_on = 0
        """How many waits for results of Ray's have begun and not ended."""
        self.ended: list[tuple[int, int]] = []
        """Those that have ended since the run gave way: their start and end."""
        self.span_id = 0
        """Of the span in which it first took a lock, its own or one under that; 0 before."""

    def rest(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """Return the parts of this stretch in which the run waited for nothing of Ray's."""
        if not self.ended:
            return [(start_ns, end_ns)]
        parts, at = [], start_ns
        for begun_ns, ended_ns in sorted(self.ended):
            if begun_ns - at >= _LEAST_NS:
                parts.append((at, begun_ns))
            at = max(at, ended_ns)
        return [*parts, (at, end_ns)] if end_ns - at >= _LEAST_NS else parts


current: contextvars.ContextVar[Flow | None] = contextvars.ContextVar("raytrace_flow", default=None)
