"""The program's entry: what has to hold before anything large is imported, such as that Ctrl-C is quiet.

Commands see an interrupt as KeyboardInterrupt, and SIGTERM and SIGHUP as SystemExit, so that what they were writing is
removed. Until there is anything to remove, all of them end the process at once: nothing is imported before that which
Python has not loaded itself.
"""

import _signal  # type: ignore[import-not-found] # what `signal` is made of, there from the start
import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    import signal
    from sys import UnraisableHookArgs
    from types import FrameType

_BY_SIGNAL = 128
_GARBAGE = (100_000, 20, 20)
"""When garbage is looked for: with Python's own thresholds a tenth of a small file's time goes into looking through
modules that were just loaded."""
_ENDING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)


def main() -> None:
    """Run the command line."""
    _handle_signals(_leave)
    _open_standard_streams()
    from raytrace_analyze.limited_memory import is_limited, run_apart

    if is_limited():
        run_apart(_run)
    try:
        _run()
    except SystemExit as end:
        _end_at_once(end.code)
        raise


def _run() -> None:
    import gc

    from raytrace_analyze.text.spelling import spell_out

    gc.set_threshold(*_GARBAGE)
    spell_out(sys.stdout, sys.stderr)
    sys.unraisablehook = _unraisable
    from raytrace_analyze.cli import main as run

    _handle_signals(_unwind)
    run()


def _end_at_once(code: object) -> None:
    """End the process as Python would, but for taking all modules apart: a twelfth of a small file's time.

    Returns where there is something to say first, or what was said cannot be written: Python does that then.
    """
    import atexit
    import threading

    if not (code is None or isinstance(code, int)):
        return
    _handle_signals(_leave)
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads, as Python does first
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit(code or 0)


def _open_standard_streams() -> None:
    """See to it that standard input, output and error are there: a file opened later must not take their places."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _handle_signals(handler: "signal._HANDLER") -> None:
    """Handle the signals that end a program, but for those that we were started to ignore."""
    for number in _ENDING:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, handler)


def _leave(number: int, _: "FrameType | None") -> None:
    os._exit(_BY_SIGNAL + number)


def _unwind(number: int, _: "FrameType | None") -> None:
    """Have everything clean up behind it; a second signal does not wait for that."""
    _handle_signals(_leave)
    if number == _signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(_BY_SIGNAL + number)


def _unraisable(about: "UnraisableHookArgs") -> None:
    """End the process also where an interrupt came while something ran that cannot be left by an exception."""
    if isinstance(about.exc_value, KeyboardInterrupt):
        os._exit(_BY_SIGNAL + _signal.SIGINT)
    sys.__unraisablehook__(about)


if __name__ == "__main__":
    main()
