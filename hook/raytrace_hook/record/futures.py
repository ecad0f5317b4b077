"""Futures of Ray's objects that record when a thread blocks on them.

Ray's own functions can't tell: `ObjectRef.future().result()` and `concurrent.futures.as_completed` wait in Python's
library. What is recorded is the blocking, not the time from a future's making to its completion: the program may do
other work meanwhile.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterable
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray import internals
from raytrace_hook.ray.tracebacks import leave_out_this_frame

Begin = Callable[[str, int], Any]
"""Notes that a wait of this name for so many objects begins."""
End = Callable[[Any, Callable[[], "dict[str, Any]"]], None]
"""Takes what Begin returned and what tells the attributes."""


def waited_future(begin: Begin, end: End) -> type[concurrent.futures.Future[Any]]:
    """Return the class of futures for `ObjectRef.future()`: it records when a thread blocks on them.

    Not the time from their making to their completion: the program may do other work meanwhile.
    """

    class Future(concurrent.futures.Future):  # type: ignore[type-arg] # untyped to Ray
        def __init__(self) -> None:
            super().__init__()
            self._condition: threading.Condition = _WaitedCondition(begin, end, self)
            self._waiters = _WatchedWaiters(begin, end)

    return Future


class _WaitedCondition(threading.Condition):
    """What `result()` and `exception()` block on."""

    def __init__(self, begin: Begin, end: End, future: Any) -> None:
        super().__init__()
        self._begin, self._end, self._future = begin, end, future

    def wait(self, timeout: float | None = None) -> bool:
        wait = self._begin(names.AWAIT_SPAN, 1)
        try:
            return super().wait(timeout)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        finally:
            self._end(wait, lambda: _references([self._future]))


class _WatchedWaiters(list):  # type: ignore[type-arg] # a plain list for concurrent.futures
    """What `concurrent.futures.wait` and `as_completed` hang their event into."""

    def __init__(self, begin: Begin, end: End) -> None:
        super().__init__()
        self._begin, self._end = begin, end

    def append(self, waiter: Any) -> None:
        if type(getattr(waiter, "event", None)) is threading.Event:
            waiter.event = _WaitedEvent(self._begin, self._end, waiter)
        if isinstance(waiter.event, _WaitedEvent):
            waiter.event.count += 1
        super().append(waiter)


class _WaitedEvent(threading.Event):
    def __init__(self, begin: Begin, end: End, waiter: Any) -> None:
        super().__init__()
        self._begin, self._end, self._waiter = begin, end, waiter
        self.count = 0

    def wait(self, timeout: float | None = None) -> bool:
        wait = self._begin(names.AWAIT_SPAN, self.count)
        try:
            return super().wait(timeout)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        finally:
            self._end(wait, lambda: _references(list(self._waiter.finished_futures)))


def _references(futures: Iterable[Any]) -> dict[str, Any]:
    references = (getattr(future, "object_ref", None) for future in futures if future.done())
    return {names.READY_TASK_IDS: internals.task_ids_of(one for one in references if one is not None)}
