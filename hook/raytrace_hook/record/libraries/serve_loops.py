"""How long coroutines of Ray Serve's handlers keep the event loop that a replica runs them on."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextvars import ContextVar
from typing import Any

from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.sampling.clocks import delay_of_this_thread


class LoopTime:
    """What a request's handler took of the loop, in ns."""

    __slots__ = ("_delay_ns", "cpu_ns", "kept_ns")

    def __init__(self) -> None:
        self.kept_ns = self.cpu_ns = 0.0
        self._delay_ns = delay_of_this_thread()

    @property
    def idle_ns(self) -> int:
        """How much of it was idle for certain: others' turns on this thread have waited for a CPU since, as well."""
        delay_ns = max(0, delay_of_this_thread() - self._delay_ns)
        return max(0, int(self.kept_ns - self.cpu_ns) - delay_ns)


present: ContextVar[LoopTime | None] = ContextVar("raytrace_loop_time", default=None)
"""That of the request whose handler runs here."""


class Driven:
    """Drives a coroutine, and shares out how long it keeps the event loop among the requests that it is for."""

    __slots__ = ("_coroutine", "_shares")

    def __init__(self, coroutine: Any, shares: Sequence[LoopTime]) -> None:
        self._coroutine, self._shares = coroutine, shares

    def __await__(self) -> Generator[Any, Any, Any]:
        step, argument = self._coroutine.send, None
        try:
            while True:
                began, used = time.perf_counter_ns(), time.thread_time_ns()
                try:
                    given = step(argument)
                except StopIteration as done:
                    return done.value
                finally:
                    kept, cpu = time.perf_counter_ns() - began, time.thread_time_ns() - used
                    for share in self._shares:
                        share.kept_ns += kept / len(self._shares)
                        share.cpu_ns += cpu / len(self._shares)
                try:
                    argument = yield given
                    step = self._coroutine.send
                except BaseException as error:
                    step, argument = self._coroutine.throw, error
        except BaseException as error:
            leave_out_this_frame(error)
            raise
