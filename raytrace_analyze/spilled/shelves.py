"""Numbered places on disk for frames that come bit by bit."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.spilled.stored import putting_aside, store, stored


def cut_up(rows: pl.DataFrame, places: pl.Series) -> Iterator[tuple[int, pl.DataFrame]]:
    """Cut rows by their places: gives what belongs to each that has any."""
    for (number,), part in rows.group_by(places.alias("place")):
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
        self._kept: list[tuple[pl.DataFrame, pl.Series]] = []
        self._kept_bytes = 0
        self._files: list[list[Path]] = [[] for _ in range(count)]
        self._written = 0

    def __len__(self) -> int:
        return len(self._files)

    def put(self, frame: pl.DataFrame, places: pl.Series) -> None:
        """Put the rows of a frame in these places. Raises OSError."""
        self._kept.append((frame, places))
        self._kept_bytes += int(frame.estimated_size())
        if self._kept_bytes > self._most_bytes:
            self.write()

    def write(self) -> None:
        """Write what is still in memory. Raises OSError."""
        if self._kept:
            # In one piece, as `table.gathered` tells.
            rows, places = (pl.concat(each, rechunk=True) for each in zip(*self._kept, strict=True))
            self._kept, self._kept_bytes = [], 0
            for number, part in cut_up(rows, places):
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
