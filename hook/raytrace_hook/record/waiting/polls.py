"""Waits that came back with nothing and may go on: consecutive polls of one thread are one wait.

The wait is kept here, not written, until the thread asks again, records something else, or the span around it ends.
Meanwhile its record among the open spans says when its last poll ended, so that a kill loses nothing.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Callable

    from raytrace_hook.record.waiting.open_wait import Wait

_WORK_NS = 1_000_000
_MOST_IDLE = 5
"""A thread that was on the CPU that long after a poll, and a fifth of the time since that began, worked, did not wait.

The poll counts too: a moment on the CPU beside a long poll decides nothing, and on a machine that others use as well
the clock of a thread runs on, now and then, while it does not.
"""


class HeldWait:
    """A wait whose last call came back with nothing."""

    __slots__ = ("cpu_ns", "settle", "wait")

    def __init__(self, wait: Wait, settle: Callable[[Wait], None]) -> None:
        self.wait = wait
        self.settle = settle
        """Writes the wait as one that ended with its last poll."""
        self.cpu_ns = time.thread_time_ns()


held: dict[int, HeldWait] = {}
"""By thread. Who takes one out of here owns it, so no lock is needed. To be looked at before anything is called."""


def hold(wait: Wait, settle: Callable[[Wait], None]) -> None:
    """Keep a wait of this thread that its next poll may go on with."""
    held[threading.get_ident()] = HeldWait(wait, settle)


def resume(name: str, awaited: str, parent_id: int) -> Wait | None:
    """Return this thread's wait if a call of this name, under this span, goes on with it; else write it, if any."""
    one = held.pop(threading.get_ident(), None)
    if one is None:
        return None
    wait = one.wait
    if (wait.name, wait.awaited) == (name, awaited) and wait.parent.span_id == parent_id and not _has_worked_since(one):
        return wait
    one.settle(wait)
    return None


def goes_on_asking() -> bool:
    """Tell whether this thread holds a wait that what it does between two polls does not end."""
    one = held.get(threading.get_ident())
    return one is not None and one.wait.works_between


def settle(ended_span_id: int = 0) -> None:
    """Write this thread's wait, if any, and all those under the span that ends."""
    if ended_span_id:
        for thread, one in list(held.items()):
            # Whoever polls without a span above it, polls for a run that may end here and now.
            if one.wait.parent.span_id in (ended_span_id, 0):
                _settle(thread)
    _settle(threading.get_ident())


def _settle(thread: int) -> None:
    one = held.pop(thread, None)
    if one is not None:
        one.settle(one.wait)


def _has_worked_since(one: HeldWait) -> bool:
    if one.wait.works_between:
        return False
    used_ns = time.thread_time_ns() - one.cpu_ns
    return used_ns > _WORK_NS and _MOST_IDLE * used_ns > time.time_ns() - one.wait.measured_ns


os.register_at_fork(after_in_child=held.clear)
