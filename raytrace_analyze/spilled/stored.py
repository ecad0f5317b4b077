"""Frames on disk for a while: written and read as fast as can be, small where rows say the same."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from raytrace_analyze.files.streams import for_polars

_SHARED = (
    *("name", "status_message", "session", "job_id", "function", "actor_id", "node_id", "worker_id", "host"),
    *("events", "links", "resource", "source", "instance_id", "error_type", "required_resources"),
)
"""Columns in which rows say the same again and again."""


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
    shared = [pl.col(name).cast(pl.Categorical) for name in _SHARED if name in frame.columns]
    with putting_aside(), path.open("wb") as file:
        frame.with_columns(shared).write_ipc(file, compression="lz4")


def stored(paths: Iterable[Path], columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Read frames as one, these columns of them; None where there are none."""
    frames = [_read(path, columns) for path in paths]
    if not frames:
        return None
    shared = [name for name in _SHARED if name in frames[0].columns]
    return pl.concat([frame.cast(dict.fromkeys(shared, pl.String)) for frame in frames])


def _read(path: Path, columns: Sequence[str] | None) -> pl.DataFrame:
    table = pl.scan_ipc(for_polars(path), glob=False)
    return (table if columns is None else table.select(columns)).collect()
