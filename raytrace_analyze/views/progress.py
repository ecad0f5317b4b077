"""How far a long piece of work is: a bar on standard error, on a terminal only, and only after a second."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from raytrace_analyze.model import Progress as Told
from raytrace_analyze.views.console import messages

_QUIET_S = 1.0
_WHOLE = 1.0


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


def _say_nothing(_: float) -> None:
    pass
