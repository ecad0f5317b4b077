"""The threads that a program has of its own: what they do while the thread that is looked at waits for them."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Container, Mapping
from types import FrameType
from typing import NamedTuple

from raytrace_hook.sampling import places
from raytrace_hook.sampling.clocks import ThreadClocks, clock_of_native_thread
from raytrace_hook.sampling.places import Place

_WAITS = (
    "threading.",
    "concurrent.futures.",
    "queue.",
    "multiprocessing.pool.",
    "asyncio.",
)
"""How the calls begin that another thread of the process lets go on: joins, futures, queues, an executor's results."""
_EXECUTORS, _JOIN = "concurrent.futures.", "threading.Thread.join"
_MOST = 8
"""Of so many it is read, too, how long they had to wait for a CPU (see `clocks`): what is kept from it works."""
_LATE_NS = 1_000_000_000
"""Two readings so far apart do not tell what a thread does now."""


class Work(NamedTuple):
    """What the helpers did since the last look at them."""

    cpu_ns: int
    busy_ns: int
    place: Place
    """Where the one is that did most."""


def waits_for_them(wait: str | None) -> bool:
    """Tell whether a thread that waits in this call can wait for others of its process."""
    return wait is not None and wait.startswith(_WAITS)


class Helpers:
    """Looks at the other threads of a program."""

    def __init__(self) -> None:
        self._clocks = ThreadClocks()

    def close(self) -> None:
        """Forget what was read."""
        self._clocks.close()

    def at_work(self, frames: Mapping[int, FrameType], but: Container[int]) -> Work | None:
        """Return what the threads in code of the program did, `but` for some; None if they had little to do.

        They share the interpreter, so that together they have done no more than one could.
        """
        if sys.platform != "linux":
            return None  # elsewhere the clock of a thread that may have ended can't be asked for
        found: dict[int, Place] = {}
        clocks: dict[int, int] = {}
        # What a thread waits for it has mostly just started: those that were there for long come last.
        for thread in reversed(threading.enumerate()):
            number, native = thread.ident, thread.native_id
            if number is None or native is None or number in but or number not in frames:
                continue
            place = places.place_of(frames[number])
            if place and len(found) < _MOST:
                found[number], clocks[number] = place, clock_of_native_thread(native)
        self._clocks.read(clocks)
        readings = {number: one for number, one in self._clocks.readings.items() if 0 < one.length_ns < _LATE_NS}
        if not readings:
            return None
        length_ns = max(one.length_ns for one in readings.values())
        busy_ns = min(sum(one.busy_ns for one in readings.values()), length_ns)
        if 2 * busy_ns < length_ns:
            return None
        most = max(readings, key=lambda number: readings[number].busy_ns)
        return Work(min(sum(one.cpu_ns for one in readings.values()), length_ns), busy_ns, found[most])

    def asleep_in(
        self, wait: str | None, waiting: FrameType, frames: Mapping[int, FrameType]
    ) -> tuple[Place, str] | None:
        """Return where most of the threads are that a thread waits for, and in what, if these are idle themselves.

        To be asked where none of them had much to do. Of executors' threads it is those that execute something; of a
        join the one that is joined. None if there is none, or if it may be any: a thread that just sleeps now and then
        holds nobody up.
        """
        if wait is None or not wait.startswith((_EXECUTORS, _JOIN)):
            return None
        if wait.startswith(_JOIN):
            joined = _joined(waiting)
            awaited = [frames[joined]] if joined is not None and joined in frames else []
        else:
            awaited = [frame for frame in frames.values() if _executes(frame)]
        found: Counter[tuple[Place, str]] = Counter()
        for frame in awaited:
            place = places.place_of(frame)
            inner = places.what_it_calls(frame) if place else ""
            if inner and not waits_for_them(inner):
                found[place, inner] += 1
        return max(found, key=lambda one: found[one]) if found else None


def _executes(frame: FrameType | None) -> bool:
    """Tell whether a thread is one of an executor's."""
    while frame is not None:
        if frame.f_code.co_name == "_worker" and frame.f_globals.get("__name__") == "concurrent.futures.thread":
            return True
        frame = frame.f_back
    return False


def _joined(frame: FrameType | None) -> int | None:
    """Return the number of the thread that is joined in this frame, or around it."""
    while frame is not None:
        if frame.f_code.co_name == "join" and frame.f_globals.get("__name__") == "threading":
            return getattr(frame.f_locals.get("self"), "ident", None)
        frame = frame.f_back
    return None
