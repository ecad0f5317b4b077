"""`-` in the place of a file: what comes on standard input."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raytrace_analyze.commands.memory import watch_memory
from raytrace_analyze.errors import RaytraceError, UsageError

if TYPE_CHECKING:
    from raytrace_analyze.ingest import Ingested
    from raytrace_analyze.model import Progress

DEFAULT_SPANS = Path("spans.parquet")
DASH = Path("-")
NAME = "standard input"


def load_given(paths: Sequence[Path], progress: "Progress | None" = None) -> "Ingested":
    """Read span files as `ingest.load` does, `-` among them being standard input. Raises what that raises."""
    watch_memory()
    from raytrace_analyze.ingest import load

    if DASH not in paths:
        return load(list(paths), progress=progress)
    with _spooled() as file:
        return _renamed(load([file if path == DASH else path for path in paths], progress=progress), str(file))


@contextmanager
def _spooled() -> Iterator[Path]:
    """Write standard input to a file that is there within this; errors name it as what it is."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "- stands for standard input, and nothing is piped there: zcat spans.gz | raytrace-analyze ... -"
        )
    with tempfile.TemporaryDirectory(prefix="raytrace-") as folder:
        file = Path(folder) / "stdin"
        with file.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream, 1 << 20)
        try:
            yield file
        except RaytraceError as error:
            error.args = (str(error).replace(str(file), NAME),)
            raise


def _renamed(found: "Ingested", path: str) -> "Ingested":
    """Let everything that names the file name standard input."""
    import polars as pl

    source = pl.col("source").replace({path: NAME})
    problems = (
        replace(one, path=NAME, detail=one.detail.replace(path, NAME)) if path in (one.path, one.detail) else one
        for one in found.report.problems
    )
    files = tuple(file for file in found.report.files if str(file) != path)
    return replace(
        found,
        spans=found.spans.with_columns(source=source),
        report=replace(found.report, problems=tuple(problems), files=files),
    )
