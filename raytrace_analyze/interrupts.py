"""The signals that end a program: Ctrl-C, SIGTERM and SIGHUP.

Commands see an interrupt as KeyboardInterrupt, and SIGTERM and SIGHUP as SystemExit, so that what they were writing is
removed. Until there is anything to remove, all of them end the process at once. Nothing is imported here that Python
has not loaded itself: an interrupt meanwhile would be a traceback.
"""

import _signal  # type: ignore[import-not-found] # what `signal` is made of, there from the start
import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    import signal
    from sys import UnraisableHookArgs
    from types import FrameType, TracebackType

_BY_SIGNAL = 128
_ENDING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
_AGAIN_S = 0.001
"""After how long an exception that was lost is raised anew: what lost it has returned by then, or loses it again."""

_came: list[int] = []
"""The signal by which the command is to end, once one came."""


def leave_at_once() -> None:
    """Have the signals end the process at once, but for those that we were started to ignore."""
    _handle(_leave)
    _signal.setitimer(_signal.ITIMER_REAL, 0)


def clean_up_first() -> None:
    """Have the first signal unwind the command, so that what it was writing is removed; a second one does not wait.

    An exception is lost where it comes while something runs that no exception leaves, such as what a weak reference
    calls: it is raised anew then.
    """
    sys.unraisablehook = _unraisable
    _handle(_unwind)


class AsItCame:
    """A context in which an interrupt stays one, whatever a library through which it passed has made of it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: "TracebackType | None") -> None:
        has_ended_well = error is None or (isinstance(error, SystemExit) and not error.code)
        if _came and not has_ended_well:
            raise _exception(_came[0]) from None


def _handle(handler: "signal._HANDLER") -> None:
    for number in _ENDING:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, handler)


def _leave(number: int, _: "FrameType | None") -> None:
    os._exit(_BY_SIGNAL + number)


def _unwind(number: int, _: "FrameType | None") -> None:
    _handle(_leave)
    _came.append(number)
    raise _exception(number)


def _unwind_again(_: int, __: "FrameType | None") -> None:
    raise _exception(_came[0])


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == _signal.SIGINT else SystemExit(_BY_SIGNAL + number)


def _unraisable(about: "UnraisableHookArgs") -> None:
    if _came and isinstance(about.exc_value, KeyboardInterrupt | SystemExit):
        _signal.signal(_signal.SIGALRM, _unwind_again)
        _signal.setitimer(_signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(about)
