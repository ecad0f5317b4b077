"""A Ray program that goes on for long while it is interrupted, cancels tasks, and its disk fills and is emptied."""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.torture.clusters import count, start, stop
from tests.torture.figures import Figure
from tests.torture.processes import disk

_FULL_S, _EMPTY_S = 2.0, 6.0
_SIZE, _SIZE_A_SECOND = 128 << 20, 2 << 20
"""Room for what the program writes, and more: it must not be the spans that fill the disk."""
_ENDS_WITHIN_S = 120


def soaked(folder: Path, seconds: float) -> Figure | None:
    """Run it for so long; None where no disk can be mounted."""
    figure = Figure("a Ray program under Ctrl-C and cancellations, its disk full again and again")
    size = _SIZE + round(seconds) * _SIZE_A_SECOND
    with disk(str(size)) as small:
        if small is None:
            return None
        process = start(folder, "soak", spans=small / "spans", seconds=seconds)
        try:
            _fill_and_empty(process, small / "filler", size, seconds)
            code = process.wait(timeout=_ENDS_WITHIN_S)
            if code:
                figure.wrong.append(f"it ended with {code}: {(folder / 'output').read_text()[-300:]}")
        except subprocess.TimeoutExpired:
            figure.wrong.append("it hung")
        finally:
            stop(process)
        count(figure, folder, small / "spans")
    return figure


def _fill_and_empty(process: subprocess.Popen[bytes], filler: Path, size: int, seconds: float) -> None:
    """Fill the disk once in a while, and empty it again, for so long or until the program ends."""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        time.sleep(_EMPTY_S)
        with filler.open("wb") as file:
            step = size
            while step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
                except OSError:
                    step //= 2
        time.sleep(_FULL_S)
        with suppress(FileNotFoundError):
            filler.unlink()
