"""The threads that a program has of its own: what they do while the thread that is looked at waits for them."""

from __future__ import annotations

import sys
import threading
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
