"""Futures of Ray's objects that record when a thread blocks on them.

Ray's own functions can't tell: `ObjectRef.future().result()` and `concurrent.futures.as_completed` wait in Python's
library. What is recorded is the blocking, not the time from a future's making to its completion: the program may do
other work meanwhile.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterable
from typing import Any, Callable, Protocol

from opentelemetry import context as context_api

from raytrace_hook import names
from raytrace_hook.ray import objects, patches
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.calls.get_wait_put import came_and_missing
from raytrace_hook.record.origin.call_sites import called_by_ray
from raytrace_hook.record.waiting.deliveries import Deliver

Begin = Callable[[str, int, "list[Any]"], Any]
"""Notes that a wait of this name for so many objects, these, begins."""


class End(Protocol):
    """What takes the end of a wait."""

    def __call__(
        self,
        wait: Any,
        attributes: Callable[[], dict[str, Any]],
        error: BaseException | None = None,
        may_go_on: bool = False,
    ) -> None:
        """Take what Begin returned and what tells the attributes; `may_go_on` where it came back with nothing."""


class DeliveredFuture(concurrent.futures.Future):  # type: ignore[type-arg] # untyped to Ray
    """A future that tells when its result has come while nobody waited for it."""

    def __init__(self, deliver: Deliver) -> None:
        super().__init__()
        self._deliver: Deliver | None = None if called_by_ray() else deliver
        self._context = context_api.get_current()
        self.is_awaited = False
        """Whether a coroutine waits for it, which has a span of its own."""

    def set_result(self, result: Any) -> None:
        """Take the result."""
        self._tell()
        super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        """Take the error."""
        self._tell()
        super().set_exception(exception)

    def _tell(self) -> None:
        condition: Any = self._condition
        if self._deliver is not None and not (self.is_awaited or self._waiters or condition._waiters):
            self._deliver(self._context, _references([self]))


def install(begin: Begin, end: End, deliver: Deliver) -> None:
    """Record these waits, and what comes without one, from now on."""
    patches.patch_future(waited_future(begin, end, deliver))


def waited_future(begin: Begin, end: End, deliver: Deliver) -> type[concurrent.futures.Future[Any]]:
    """Return the class of futures for `ObjectRef.future()`: it records when a thread blocks on them.

    Not the time from their making to their completion: the program may do other work meanwhile.
    """

    class Future(DeliveredFuture):
        def __init__(self) -> None:
            super().__init__(deliver)
            self._condition: threading.Condition = _WaitedCondition(begin, end, self)
            self._waiters = _WatchedWaiters(begin, end, self)

    return Future


class _WaitedCondition(threading.Condition):
    """What `result()` and `exception()` block on."""

    def __init__(self, begin: Begin, end: End, future: Any) -> None:
        super().__init__()
        self._begin, self._end, self._future = begin, end, future

    def wait(self, timeout: float | None = None) -> bool:
        wait = self._begin(names.AWAIT_SPAN, 1, _references([self._future]))
        came, failed = False, None
        try:
            came = super().wait(timeout)
            return came
        except BaseException as error:
            leave_out_this_frame(error)
            failed = error
            raise
        finally:
            self._end(wait, lambda: _found([self._future], came, failed), failed, not (came or failed))
            failed = None  # whose traceback holds this frame


class _WatchedWaiters(list):  # type: ignore[type-arg] # a plain list for concurrent.futures
    """What `concurrent.futures.wait` and `as_completed` hang their event into."""

    def __init__(self, begin: Begin, end: End, future: Any) -> None:
        super().__init__()
        self._begin, self._end, self._future = begin, end, future

    def append(self, waiter: Any) -> None:
        if type(getattr(waiter, "event", None)) is threading.Event:
            waiter.event = _WaitedEvent(self._begin, self._end, waiter)
        if isinstance(waiter.event, _WaitedEvent):
            waiter.event.futures.append(self._future)
        super().append(waiter)


class _WaitedEvent(threading.Event):
    def __init__(self, begin: Begin, end: End, waiter: Any) -> None:
        super().__init__()
        self._begin, self._end, self._waiter = begin, end, waiter
        self.futures: list[Any] = []
        """What is waited for: futures of Ray's."""

    def wait(self, timeout: float | None = None) -> bool:
        open_ones = [future for future in self.futures if not future.done()]
        wait = self._begin(names.AWAIT_SPAN, len(self.futures), _references(open_ones))
        came, failed = False, None
        try:
            came = super().wait(timeout)
            return came
        except BaseException as error:
            leave_out_this_frame(error)
            failed = error
            raise
        finally:
            found = [*self._waiter.finished_futures, *open_ones]
            self._end(wait, lambda: _found(found, came, failed), failed, not (came or failed))
            failed = None


def _found(futures: list[Any], came: bool, failed: BaseException | None) -> dict[str, Any]:
    ready = _references(future for future in futures if future.done())
    if came:
        return {names.READY_TASK_IDS: objects.task_ids_of(ready)}
    return came_and_missing(ready, _references(futures), timed_out=failed is None)


def _references(futures: Iterable[Any]) -> list[Any]:
    references = (getattr(future, "object_ref", None) for future in futures)
    return [one for one in references if one is not None]
