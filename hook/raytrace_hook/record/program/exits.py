"""How a program ends, where the end of its connection to Ray does not say so.

A program that fails often lets go of Ray on its way out (`finally: ray.shutdown()`, `with ray.init():`), and whether an
exception that is under way then is handled or ends the program is known only once the program has ended. Ray takes
SIGTERM as an exit like any other.
"""

from __future__ import annotations

import builtins
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from raytrace_hook.ray.tracebacks import error_text

_LONGEST_END_S = 20.0
"""How long after SIGTERM Ray may take until the program ends; one that goes on longer was not stopped by it."""
_MOST_LINKS = 100
_noted: SystemExit | None = None


def note_exit(error: SystemExit) -> None:
    """Let the driver's span say what the program exits with: for who runs it, since nothing else in it is told that."""
    global _noted  # noqa: PLW0603 - a program exits once
    _noted = error


def noted_exit() -> SystemExit | None:
    """Return what the program exits with, if that was noted and is no success."""
    return None if _noted is None or _noted.code in (None, 0) else _noted


def text_of(error: BaseException) -> str:
    """Say what ends a program."""
    if not isinstance(error, SystemExit):
        return error_text(error)
    return f"exit code {error.code}" if isinstance(error.code, int) else f"exit code 1: {error.code}"


class Raised(NamedTuple):
    """An exception, without holding on to it and all that its frames hold."""

    number: int
    kind: type[BaseException]

    @classmethod
    def now(cls) -> Raised | None:
        """Return the exception that is under way, or handled, where this is called; None at a prompt or in a notebook.

        There it ends nothing but what was typed.
        """
        error = sys.exc_info()[1]
        is_prompt = hasattr(sys, "ps1") or hasattr(builtins, "__IPYTHON__")
        return None if error is None or is_prompt else cls(id(error), type(error))

    def led_to(self, error: BaseException | None) -> bool:
        """Tell whether an exception is this one, or was raised because of it."""
        return any(id(one) == self.number and type(one) is self.kind for one in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    open_ = [error]
    for _ in range(_MOST_LINKS):
        one = open_.pop() if open_ else None
        if one is None:
            return
        yield one
        open_ += [link for link in (one.__context__, one.__cause__) if link is not None]


class StopSignal:
    """Notes when SIGTERM came, in a process in which Ray handles it."""

    def __init__(self) -> None:
        self._came_at: float | None = None

    def watch(self) -> None:
        """Note it from now on, if the signal's handler is one of Ray's; it is called as before."""
        handler: Any = signal.getsignal(signal.SIGTERM)
        is_rays = callable(handler) and str(getattr(handler, "__module__", "")).startswith("ray.")
        if not is_rays or threading.current_thread() is not threading.main_thread():
            return

        def noting(number: int, frame: Any) -> Any:
            self._came_at = time.monotonic()
            return handler(number, frame)

        signal.signal(signal.SIGTERM, noting)

    def has_come(self) -> bool:
        """Tell whether it came just now."""
        return self._came_at is not None and time.monotonic() - self._came_at < _LONGEST_END_S
