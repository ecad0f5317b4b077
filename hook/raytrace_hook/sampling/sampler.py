"""What the threads of long spans do: one thread of the process looks at them a few times a second.

A span that is over before it has been looked at costs a note in a dictionary and nothing else. Looks cost the same
however many spans there are, since at most so many threads are looked at in one round.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import threading
import time
from asyncio import _get_running_loop  # None where there is no loop, instead of an error
from threading import get_ident
from types import FrameType
from typing import Any, Callable, NamedTuple

from raytrace_hook.forking import call_in_child
from raytrace_hook.log import warn_once
from raytrace_hook.sampling import places
from raytrace_hook.sampling.clocks import Reading, ThreadClocks
from raytrace_hook.sampling.helpers import Helpers, waits_for_them
from raytrace_hook.sampling.profile import Look, Profile

MIN_AGE_NS = 100_000_000
"""A span is looked at from this age on."""
_SHOWN_EVERY_NS = 1_000_000_000
_MOST_AT_ONCE = 64


class _Watched(NamedTuple):
    """A span that is open, as noted at its start."""

    thread: int
    start_ns: int
    clock: int
    loop: Any
    """The event loop that it runs on, and its task there; None for a thread of its own."""
    task: Any


class _Begun(NamedTuple):
    """What the clocks showed when a span was first met, and what they must have shown at its start."""

    cpu_ns: int
    process_cpu_ns: int


class _Followed:
    """A span that is looked at."""

    __slots__ = ("begun", "last", "profile", "shown_ns")

    def __init__(self, begun: _Begun | None) -> None:
        self.begun = begun
        """None where the CPU clock of its thread is no measure, since others take turns on it."""
        self.profile = Profile()
        self.shown_ns = 0
        self.last: tuple[int, int, places.Place, str | None] | None = None
        """Frame, place in it, and what was found there at the last look; None where the thread was busy then."""


class Sampler:
    """Watches spans from their start to their end, and tells what their threads did."""

    def __init__(
        self,
        period_s: float,
        show: Callable[[int, Profile], None],
        waits_recorded: bool = True,
        each_second: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the time between two looks (0: never look) and what shows a span's profile while it is open.

        With `waits_recorded` false there are no spans of `ray.get` and the like, and these are told as idle, too.
        """
        self._period_s = period_s
        self._show = show
        self._waits_recorded = waits_recorded
        self._each_second = each_second
        self._clocks = ThreadClocks()
        self._helpers = Helpers()
        self._reset()
        call_in_child(self._reset)

    def _reset(self) -> None:
        self._clocks.close()
        self._helpers.close()
        self._watched: dict[int, _Watched] = {}
        self._followed: dict[int, _Followed] = {}
        self._first: dict[int, tuple[int, int, int]] = {}
        """By span: when it was first met, and what its thread's and the process's CPU clock showed then."""
        self._round = 0
        self._starts = itertools.count()
        self._is_running = self._period_s <= 0

    def start(self, span_id: int, start_ns: int) -> None:
        """Watch a span that starts in this thread."""
        thread = get_ident()
        loop = _get_running_loop()
        task = None if loop is None else asyncio.current_task(loop)
        clock = time.pthread_getcpuclockid(thread)  # asked for here: the thread's number means nothing once it is gone
        self._watched[span_id] = _Watched(thread, start_ns, clock, loop, task)
        if not self._is_running:
            self._run()

    def start_driver(self, span_id: int, start_ns: int) -> None:
        """Watch a driver's span, which is told by what the main thread does."""
        thread = threading.main_thread().ident
        if thread is not None:
            self._watched[span_id] = _Watched(thread, start_ns, time.pthread_getcpuclockid(thread), None, None)
            if not self._is_running:
                self._run()

    def end(self, span_id: int) -> Profile | None:
        """Stop watching a span; its profile, if it has been looked at."""
        watched = self._watched.pop(span_id, None)
        followed = self._followed.pop(span_id, None)
        if watched is None or followed is None:
            return None
        if followed.begun is not None:
            with contextlib.suppress(OSError):  # the thread has ended before its span
                self._count(followed, time.clock_gettime_ns(watched.clock))
        followed.profile.end()
        return followed.profile

    def profile(self, span_id: int) -> Profile | None:
        """Return what is known of an open span by now, if it has been looked at."""
        followed = self._followed.get(span_id)
        return None if followed is None else followed.profile

    def _run(self) -> None:
        self._is_running = True
        if next(self._starts):  # two threads began their first spans at once: one of them starts it
            return
        try:
            threading.Thread(target=self._repeat, name="raytrace-sampler", daemon=True).start()
        except RuntimeError as error:  # no more threads, or the interpreter ends
            warn_once("what long spans do is not sampled", error)

    def _repeat(self) -> None:
        try:
            rounds = max(1, round(1 / self._period_s))
            for number in itertools.count(1):
                time.sleep(self._period_s)
                if number % rounds == 0:
                    self._each_second()
                if self._watched:
                    self._look_round()
                elif self._first:
                    self._clocks.close()
                    self._helpers.close()
                    self._first.clear()
        except Exception as error:
            warn_once("what long spans do is not sampled any more", error)

    def _look_round(self) -> None:
        now = time.time_ns()
        watched = list(self._watched.items())
        if len(watched) > _MOST_AT_ONCE and all(one.loop is None for _, one in watched):
            watched = self._some_of(watched)
        self._clocks.read({one.thread: one.clock for _, one in watched})
        self._note_first(watched)
        due = [(span_id, one) for span_id, one in watched if now - one.start_ns >= MIN_AGE_NS]
        executing = [(span_id, one) for span_id, one in due if one.task is None or self._has_its_turn(span_id, one)]
        if executing:
            busy = self._clocks.busy_now({one.thread: one.clock for _, one in executing})
            frames = sys._current_frames()
            for span_id, one in executing:
                frame = frames.get(one.thread)
                # What a coroutine's thread did in between may have been another's turn.
                if frame is not None and (one.task is None or asyncio.current_task(one.loop) is one.task):
                    self._look_at(span_id, one, frame, one.thread in busy, frames)
                followed = self._followed.get(span_id)
                if followed is not None and now - followed.shown_ns >= _SHOWN_EVERY_NS:
                    followed.shown_ns = now
                    self._show(span_id, followed.profile)
            del frame, frames  # they hold what the program has let go of
        if places.forget_when_full():
            self._followed.clear()

    def _some_of(self, watched: list[tuple[int, _Watched]]) -> list[tuple[int, _Watched]]:
        start = self._round % len(watched)
        self._round = start + _MOST_AT_ONCE
        return (watched + watched)[start : start + _MOST_AT_ONCE]

    def _note_first(self, watched: list[tuple[int, _Watched]]) -> None:
        first, readings, process_ns = self._first, self._clocks.readings, time.process_time_ns()
        for span_id, one in watched:
            if span_id not in first and one.thread in readings:
                reading = readings[one.thread]
                first[span_id] = reading.at_ns, reading.total_ns, process_ns
        if len(first) > len(watched):
            for span_id in first.keys() - self._watched.keys():
                first.pop(span_id, None)

    def _has_its_turn(self, span_id: int, one: _Watched) -> bool:
        """Tell whether this span's coroutine is what its thread executes."""
        if asyncio.current_task(one.loop) is one.task:
            return True
        followed = self._followed.get(span_id) or self._follow(span_id, None)
        if followed is not None:
            followed.profile.pause()
        return False

    def _look_at(
        self, span_id: int, one: _Watched, frame: FrameType, is_busy: bool, frames: dict[int, FrameType]
    ) -> None:
        reading = self._clocks.readings.get(one.thread)
        if reading is None or not reading.length_ns:
            return
        followed = self._followed.get(span_id) or self._follow(span_id, self._begun(span_id, one, reading))
        if followed is None:
            return
        followed.profile.cpu_delay_ns += reading.delay_ns
        if followed.begun is None:
            followed.profile.cpu_ns += reading.cpu_ns  # in the mean, who is met gets what was used
        else:
            self._count(followed, reading.total_ns)
        last, number, at = followed.last, id(frame), frame.f_lasti
        weight = max(1, round(reading.length_ns / (self._period_s * 1e9)))
        moved = last is None or last[:2] != (number, at) or reading.cpu_ns >= reading.length_ns // 200
        if last is not None and not moved:
            place, wait = last[2], last[3]
        else:
            place, wait = places.place_of(frame), None
            if place and not is_busy and not (self._waits_recorded and places.is_in_recorded_wait(frame)):
                wait = places.what_it_calls(frame)
            followed.last = None if is_busy else (number, at, place, wait)
        if not is_busy and self._waits_for_work(followed, one, reading, weight, wait, frames):
            return
        if not moved and not is_busy and followed.profile.stays(reading.at_ns, weight, reading.busy_ns):
            return
        followed.profile.add(Look(*reading.spent, weight, is_busy, place, wait))

    def _waits_for_work(
        self,
        followed: _Followed,
        one: _Watched,
        reading: Reading,
        weight: int,
        wait: str | None,
        frames: dict[int, FrameType],
    ) -> bool:
        """Take what a thread waits for as what it does, where that is the work of others of its program.

        Whose work it is can be told only where no other span is open in the process.
        """
        if one.task is not None or len(self._watched) > 1 or not waits_for_them(wait):
            return False
        work = self._helpers.at_work(frames, (one.thread,))
        if work is None:
            asleep = self._helpers.asleep_in(wait, frames[one.thread], frames)
            if asleep is not None:
                followed.profile.add(Look(*reading.spent, weight, False, *asleep))
            return asleep is not None
        followed.profile.helpers_cpu_ns += work.cpu_ns
        followed.profile.add(
            Look(reading.before_ns, reading.at_ns, work.cpu_ns, work.busy_ns, weight, True, work.place, None)
        )
        return True

    def _follow(self, span_id: int, begun: _Begun | None) -> _Followed | None:
        followed = _Followed(begun)
        self._followed[span_id] = followed
        if span_id not in self._watched:  # it ended meanwhile
            self._followed.pop(span_id, None)
            return None
        return followed

    def _begun(self, span_id: int, one: _Watched, reading: Reading) -> _Begun | None:
        """Return what the clocks showed when a span began, to a look or so: it is first met up to a look later."""
        first = self._first.get(span_id)
        if one.task is not None or first is None:
            return None
        at_ns, cpu_ns, process_cpu_ns = first
        unseen_ns = max(0, at_ns - one.start_ns)
        seen_ns = max(1, reading.at_ns - at_ns)
        ahead = unseen_ns * (reading.total_ns - cpu_ns) // seen_ns
        process_ahead = unseen_ns * (time.process_time_ns() - process_cpu_ns) // seen_ns
        return _Begun(cpu_ns - min(ahead, unseen_ns), process_cpu_ns - process_ahead)

    def _count(self, followed: _Followed, total_ns: int) -> None:
        begun = followed.begun
        if begun is None:
            return
        profile = followed.profile
        profile.cpu_ns = max(0, total_ns - begun.cpu_ns)
        is_alone = len(self._watched) <= 1
        if is_alone and begun.process_cpu_ns >= 0:
            profile.process_cpu_ns = max(profile.cpu_ns, time.process_time_ns() - begun.process_cpu_ns)
        elif not is_alone and begun.process_cpu_ns >= 0:
            followed.begun = begun._replace(process_cpu_ns=-1)
            profile.process_cpu_ns = None
