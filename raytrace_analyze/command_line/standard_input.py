"""`-` in the place of a file: what comes on standard input."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from raytrace_analyze.command_line.memory import watch_memory
from raytrace_analyze.errors import RaytraceError, UsageError

if TYPE_CHECKING:
    from raytrace_analyze.ingest import Ingested
    from raytrace_analyze.merging import LargeIngested
    from raytrace_analyze.model import Progress

DEFAULT_SPANS = Path("spans.parquet")
DASH = Path("-")
NAME = "standard input"

_Read = TypeVar("_Read", "Ingested", "LargeIngested", "Ingested | LargeIngested")


def load_given(
    paths: Sequence[Path], progress: "Progress | None" = None, *, job: str | None = None, trace: str | None = None
) -> "Ingested":
    """Read span files as `ingest.load` does, `-` among them being standard input. Raises what that raises.

    Of a large table only what has to do with a job or a trace may be read (see `scoped_reading`).
    """
    from raytrace_analyze.ingest import find, load_found

    def read(files: Sequence[Path]) -> "Ingested":
        found = find(files)
        some = None
        if job is not None or trace is not None:
            from raytrace_analyze.scoped_reading import load_scope

            some = load_scope(found, job=job, trace=trace)
        return load_found(found, progress=progress) if some is None else some

    return read_given(paths, read)


def read_given(paths: Sequence[Path], read: Callable[[Sequence[Path]], _Read]) -> _Read:
    """Have span files read, `-` among them being standard input; within the memory that a command may take."""
    watch_memory()
    if DASH not in paths:
        return read(list(paths))
    with spooled() as file:
        return _renamed(read([file if path == DASH else path for path in paths]), str(file))


def shown_name(path: Path) -> str:
    """What a path that was given is called in results."""
    from raytrace_analyze.files.streams import readable

    return NAME if path == DASH else readable(path)


def check_read_once(sides: Sequence[Path]) -> None:
    """Raise UsageError where standard input is to be read more than once."""
    if sides.count(DASH) > 1:
        raise UsageError(f"{NAME} can be read once only; name a file for the other side")


@contextmanager
def spooled() -> Iterator[Path]:
    """Write standard input to a file that is there within this; errors name it as what it is."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "- stands for standard input, and nothing is piped there: zcat spans.gz | raytrace-analyze ... -"
        )
    import tempfile

    with ExitStack() as until_read:
        try:
            folder = until_read.enter_context(tempfile.TemporaryDirectory(prefix="raytrace-"))
            file = Path(folder) / "stdin"
            with file.open("wb") as stream:
                shutil.copyfileobj(sys.stdin.buffer, stream, 1 << 20)
        except OSError as error:
            raise UsageError(
                f"cannot keep {NAME} in the temporary folder while it is read: {error.strerror or error}; set "
                "TMPDIR to one with more room, or write it to a file and name that"
            ) from error
        try:
            yield file
        except RaytraceError as error:
            error.args = (str(error).replace(str(file), NAME),)
            raise


def _renamed(found: _Read, path: str) -> _Read:
    """Let everything that names the file name standard input."""
    import polars as pl

    source = pl.col("source").replace({path: NAME})
    problems = (
        replace(one, path=NAME, detail=one.detail.replace(path, NAME)) if path in (one.path, one.detail) else one
        for one in found.report.problems
    )
    files = tuple(file for file in found.report.files if str(file) != path)
    renamed = found.changed(lambda rows: rows.with_columns(source=source))
    return replace(renamed, report=replace(found.report, problems=tuple(problems), files=files))
