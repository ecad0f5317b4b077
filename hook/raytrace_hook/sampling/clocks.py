"""How far threads got on the CPU, by the clocks that the system keeps for each."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from threading import get_ident
from typing import NamedTuple

from raytrace_hook.forking import call_in_child

_LATE_NS = 10_000_000_000
"""After so long without a reading (a machine that slept), what was between is not known."""
_FEW = 8
"""Of so many threads it is also read how long they had to wait for a CPU."""
_MOMENT_S = 0.001
_SURELY_BUSY, _SURELY_IDLE = 0.95, 0.05
_OF_A_THREAD = 6
"""What Linux has in the id of a clock that counts what one thread is scheduled for."""


def clock_of_native_thread(number: int) -> int:
    """Return the clock of a thread by the number that Linux gave it; reading it fails when the thread has ended."""
    return ~number << 3 | _OF_A_THREAD


class Reading(NamedTuple):
    """What a thread's clock showed, and how far it went since the reading before."""

    at_ns: int
    total_ns: int
    delay_total_ns: int
    before_ns: int
    cpu_ns: int
    delay_ns: int
    """How long it could have run, but others had the CPU."""

    @property
    def length_ns(self) -> int:
        """The time between the two readings; 0 of a first one."""
        return self.at_ns - self.before_ns

    @property
    def spent(self) -> tuple[int, int, int, int]:
        """The time of the reading before and of this one, what was spent on a CPU between them, and busy in all."""
        return self.before_ns, self.at_ns, self.cpu_ns, self.busy_ns

    @property
    def busy_ns(self) -> int:
        """How much of that time the thread had something to do."""
        return min(self.cpu_ns + self.delay_ns, self.length_ns)


class ThreadClocks:
    """The latest readings, by thread."""

    def __init__(self) -> None:
        self.readings: dict[int, Reading] = {}
        self._delays = _Delays()

    def close(self) -> None:
        """Forget all readings."""
        self.readings = {}
        self._delays.close()

    def read(self, clocks: Mapping[int, int]) -> None:
        """Read the clocks of these threads (their ids by threads' numbers); those of others are forgotten."""
        old, with_delay = self.readings, len(clocks) <= _FEW
        new: dict[int, Reading] = {}
        for thread, clock in clocks.items():
            try:
                total = time.clock_gettime_ns(clock)
            except OSError:  # the thread has ended before its span
                continue
            delay = self._delays.of(clock) if with_delay else 0
            at = time.time_ns()
            before = old.get(thread)
            if before is None or not 0 < at - before.at_ns < _LATE_NS or total < before.total_ns:
                new[thread] = Reading(at, total, delay, at, 0, 0)
            else:
                waited = max(0, delay - before.delay_total_ns) if before.delay_total_ns else 0
                new[thread] = Reading(at, total, delay, before.at_ns, total - before.total_ns, waited)
        self.readings = new

    def busy_now(self, clocks: Mapping[int, int]) -> set[int]:
        """Return the threads that have something to do: where their clocks leave it open, a moment is looked at."""
        busy, unsure = set(), {}
        for thread, clock in clocks.items():
            reading = self.readings.get(thread)
            if reading is None or not reading.length_ns:
                continue
            if not reading.delay_ns and reading.cpu_ns < _SURELY_IDLE * reading.length_ns:
                continue
            share = reading.busy_ns / reading.length_ns
            if share >= _SURELY_BUSY:
                busy.add(thread)
            elif share > _SURELY_IDLE:
                unsure[thread] = clock
        if unsure:
            time.sleep(_MOMENT_S)
            busy.update(thread for thread, clock in unsure.items() if self._is_busy(self.readings[thread], clock))
        return busy

    def _is_busy(self, reading: Reading, clock: int) -> bool:
        try:
            used = time.clock_gettime_ns(clock) - reading.total_ns
        except OSError:
            return False
        if reading.delay_total_ns:
            used += max(0, self._delays.of(clock) - reading.delay_total_ns)
        return 2 * used >= time.time_ns() - reading.at_ns


class _Delays:
    """Tells how long threads have waited for a CPU so far, where the system tells (Linux does)."""

    def __init__(self) -> None:
        self._files: dict[int, int] = {}
        """Descriptors by the clocks of threads: reading again costs a fifth of opening."""

    def of(self, clock: int) -> int:
        """Return it in ns; 0 where it can't be known."""
        try:
            descriptor = self._files.get(clock)
            if descriptor is None:
                if len(self._files) >= 2 * _FEW:
                    self.close()
                # On Linux the id of a thread's clock is made of the thread's own.
                path = f"/proc/self/task/{~(clock >> 3)}/schedstat"
                descriptor = self._files[clock] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(descriptor, 100, 0).split()[1])
        except (OSError, ValueError, IndexError):
            descriptor = self._files.pop(clock, None)
            if descriptor is not None:
                os.close(descriptor)
            return 0

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])


_own = _Delays()
call_in_child(_own.close)  # there its files would tell of the parent's threads


def delay_of_this_thread() -> int:
    """Return how long this thread could have run so far, but others had the CPU (ns); 0 where it can't be known."""
    return _own.of(time.pthread_getcpuclockid(get_ident()))
