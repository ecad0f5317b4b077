"""The driver's one background thread: what goes on while the program is busy, or hangs, or is about to be killed."""

from __future__ import annotations

import threading
from typing import Callable

from raytrace_hook.log import warn_once

_PERIOD_S = 1.0
_LAST_BEAT_S = 1.0
"""How long the end waits for a beat that is under way: a cluster that is gone may never answer it."""


class Pulse:
    """Calls what it is given about every second. It earns its keep: a driver that is killed can't say anything more."""

    def __init__(self, beats: tuple[Callable[[], None], ...]) -> None:
        self._beats = beats
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin, with a first beat at once."""
        # A lock of its own: `stop` may have been interrupted just as it had the one before.
        self._stop, self._lock = threading.Event(), threading.Lock()
        threading.Thread(
            target=self._repeat, args=(self._stop, self._lock), name="raytrace-driver", daemon=True
        ).start()

    def stop(self) -> None:
        """End: no beat begins after this, and one that is under way has ended (or takes too long)."""
        self._stop.set()
        if self._lock.acquire(timeout=_LAST_BEAT_S):
            self._lock.release()

    def _repeat(self, stop: threading.Event, lock: threading.Lock) -> None:
        while True:
            with lock:
                for beat in self._beats:
                    if stop.is_set():
                        return
                    try:
                        beat()
                    except Exception as error:
                        warn_once("the driver's background thread has ended", error)
                        return
            if stop.wait(_PERIOD_S):
                return
