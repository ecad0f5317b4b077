"""Frames on their way, on disk or elsewhere: written and read as fast as can be, small where rows say the same."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from raytrace_analyze.files.opened import for_polars

_SHARED = (
    *("name", "status_message", "session", "job_id", "function", "actor_id", "node_id", "worker_id", "host"),
    *("events", "links", "resource", "source", "instance_id", "error_type", "required_resources"),
)
"""Columns in which rows say the same again and again."""

_FEWEST_SHARED = 4096
"""Of fewer rows it takes longer to say that than to write them out."""


class ScratchError(OSError):
    """What is put aside on the way to a table cannot be written."""


@contextmanager
def putting_aside() -> Iterator[None]:
    """Write what is needed on the way to a table within this: raises ScratchError for an OSError."""
    try:
        yield
    except OSError as error:
        raise ScratchError(error.errno, error.strerror or str(error)) from error


def store(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame. Raises ScratchError."""
    with putting_aside(), path.open("wb") as file:
        _write(frame, file)


def stored(paths: Iterable[Path], columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Read frames as one, these columns of them; None where there are none."""
    return _together([pl.scan_ipc(for_polars(path), glob=False) for path in paths], columns)


def packed(frame: pl.DataFrame) -> bytes:
    """Give a frame as bytes."""
    file = io.BytesIO()
    _write(frame, file)
    return file.getvalue()


def unpacked(parts: Iterable[bytes], columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Read frames as one, as `stored` does."""
    return _together([pl.scan_ipc(part) for part in parts], columns)


def _write(frame: pl.DataFrame, file: BinaryIO) -> None:
    if frame.height >= _FEWEST_SHARED:
        frame = frame.with_columns(pl.col(name).cast(pl.Categorical) for name in _SHARED if name in frame.columns)
    frame.write_ipc(file, compression="lz4")


def _together(tables: Sequence[pl.LazyFrame], columns: Sequence[str] | None) -> pl.DataFrame | None:
    frames = [(table if columns is None else table.select(columns)).collect() for table in tables]
    if not frames:
        return None
    shared = [name for name in _SHARED if name in frames[0].columns]
    return pl.concat([frame.cast(dict.fromkeys(shared, pl.String)) for frame in frames])
