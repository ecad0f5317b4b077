"""The program's entry: what has to hold before anything large is imported, such as that Ctrl-C is quiet."""

import os
import sys

from raytrace_analyze.interrupts import clean_up_first, leave_at_once

_GARBAGE = (100_000, 20, 20)
"""When garbage is looked for: with Python's own thresholds a tenth of a small file's time goes into looking through
modules that were just loaded."""


def main() -> None:
    """Run the command line."""
    leave_at_once()
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
    from raytrace_analyze.cli import main as run

    clean_up_first()
    run()


def _end_at_once(code: object) -> None:
    """End the process as Python would, but for taking all modules apart: a twelfth of a small file's time.

    Returns where there is something to say first, or what was said cannot be written: Python does that then.
    """
    import atexit
    import threading

    if not (code is None or isinstance(code, int)):
        return
    leave_at_once()
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


if __name__ == "__main__":
    main()
