"""Frames on their way, on disk or elsewhere: written and read as fast as can be, small where rows say the same."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from raytrace_analyze.files.streams import for_polars

_SHARED = (
    *("name", "status_message", "session", "job_id", "function", "actor_id", "node_id", "worker_id", "host"),
    *("events", "links", "resource", "source", "instance_id", "error_type", "required_resources"),
)
"""Columns in which rows say the same again and again."""

_FEWEST_SHARED = 4096
"""Of fewer rows it takes longer to say that than to write them out."""


class ScratchError(OSError):
    """What is put aside on the way to a table cannot be written."""


_PLACE = "place"


def cut_up(rows: pl.DataFrame, places: pl.Series) -> Iterator[tuple[int, pl.DataFrame]]:
    """Cut rows by their places: gives what belongs to each that has any."""
    for (number,), part in rows.group_by(places.alias(_PLACE)):
        yield int(number), part


class Shelves:
    """Numbered places of a folder for frames that come bit by bit: what is kept in memory first is few files then.

    Many small files would take longer than all else: what is written at a time goes to as many as there are places.
    """

    def __init__(self, folder: Path, count: int, most_bytes: int) -> None:
        """Make room for `count` places, whose frames may take so much memory until they are written. Raises OSError."""
        with putting_aside():
            folder.mkdir()
        self._folder = folder
        self._most_bytes = most_bytes
        self._kept: list[pl.DataFrame] = []
        self._kept_bytes = 0
        self._files: list[list[Path]] = [[] for _ in range(count)]
        self._written = 0

    def __len__(self) -> int:
        return len(self._files)

    def put(self, frame: pl.DataFrame, places: pl.Series) -> None:
        """Put the rows of a frame in these places. Raises OSError."""
        self._kept.append(frame.with_columns(places.alias(_PLACE)))
        self._kept_bytes += int(frame.estimated_size())
        if self._kept_bytes > self._most_bytes:
            self.write()

    def write(self) -> None:
        """Write what is still in memory. Raises OSError."""
        if self._kept:
            rows = pl.concat(self._kept)
            self._kept, self._kept_bytes = [], 0
            for number, part in cut_up(rows.drop(_PLACE), rows.get_column(_PLACE)):
                self._store(number, part)

    def replace(self, number: int, frame: pl.DataFrame) -> None:
        """Have nothing but this frame in a place. Raises OSError."""
        self.remove(number)
        self._store(number, frame)

    def remove(self, number: int) -> None:
        """Have nothing in a place. Raises OSError."""
        for file in self._files[number]:
            file.unlink()
        self._files[number] = []

    def is_whole(self, number: int) -> bool:
        """Tell whether what is in a place lies together."""
        return len(self._files[number]) < 2

    def get(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
        """Read what was written to a place, these columns of it; None where there is nothing."""
        return stored(self._files[number], columns)

    def _store(self, number: int, frame: pl.DataFrame) -> None:
        self._written += 1
        file = self._folder / f"{number}-{self._written}.arrow"
        store(frame, file)
        self._files[number].append(file)


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
