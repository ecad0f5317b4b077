"""That work goes on, and how far it is: a bar on standard error, on a terminal only, and only after a second."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Timer

from raytrace_analyze.model import Progress as Told
from raytrace_analyze.views.screen.console import messages

_QUIET_S = 1.0
_WHOLE = 1.0
_AT_WORK = ExitStack()
"""What shows that a command is at work, from the time when it has read its spans until it writes its result."""


@contextmanager
def progress_shown(what: str) -> Iterator[Told]:
    """Give what is to be told the share (0 to 1) that is done; the bar is gone at the end.

    `what` is a word of ours for the work. The time that is left is told from how long the share took so far.
    """
    if not sys.stderr.isatty():
        yield _say_nothing
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=messages(), transient=True, redirect_stdout=False, redirect_stderr=False)
    work = bar.add_task(what, total=_WHOLE)
    begin = time.monotonic()

    def tell(share: float) -> None:
        bar.update(work, completed=share)
        if time.monotonic() - begin > _QUIET_S and share < _WHOLE:
            bar.start()

    try:
        yield tell
    finally:
        bar.stop()


def begin_work() -> None:
    """Show from now on that a command is at work, whose end cannot be told."""
    end_work()
    _AT_WORK.enter_context(_work_shown())


def end_work() -> None:
    """Show no longer that a command is at work: something else is to be seen now."""
    _AT_WORK.close()


@contextmanager
def _work_shown() -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=messages(), transient=True, redirect_stdout=False, redirect_stderr=False)
    bar.add_task("working", total=None)
    begun = Timer(_QUIET_S, bar.start)
    begun.daemon = True
    begun.start()
    try:
        yield
    finally:
        begun.cancel()
        begun.join()
        bar.stop()


def _say_nothing(_: float) -> None:
    pass
