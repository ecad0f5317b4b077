"""A finished table on disk, on its way into the order of its file: cut where that order is known, then put in order."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.spilled.stored import putting_aside, store, stored
from raytrace_analyze.table.begun import Begun
from raytrace_analyze.table.file_order import in_file_order, trace_keys

_SAMPLE_ROWS = 4096
"""About so many rows of a part stand behind one key of its sample."""


class Sample:
    """Keys of traces here and there in a table, from which it is told where to cut it into parts of one size."""

    def __init__(self) -> None:
        self._keys: list[pl.DataFrame] = []
        self._is_whole = False

    def seeing(self, parts: Iterator[Begun]) -> Iterator[Begun]:
        """Give all parts of a table, and take a sample of them when that is done for the first time."""
        for part in parts:
            if not self._is_whole:
                self._add(part.spans)
            yield part
        self._is_whole = True

    def _add(self, spans: pl.DataFrame) -> None:
        keys = trace_keys(spans).sort("key")
        step = pl.col("rows").cum_sum() // _SAMPLE_ROWS
        self._keys.append(
            keys.group_by(step.alias("step")).agg(pl.col("key").last(), pl.col("rows").sum()).drop("step")
        )

    def cuts(self, count: int) -> list[str]:
        """Give the keys that cut the table into about `count` parts: each is the last of its part."""
        keys = pl.concat(self._keys).sort("key")
        rows = max(int(keys.get_column("rows").sum()) // count, 1)
        part = pl.col("rows").cum_sum() // rows
        return keys.group_by(part.alias("part")).agg(pl.col("key").last()).sort("key").get_column("key").to_list()[:-1]


class Ordered:
    """Rows of a table (columns of `schema.TABLE`) in files of a folder, by their place in its order."""

    def __init__(self, folder: Path, cuts: Sequence[str]) -> None:
        with putting_aside():
            folder.mkdir()
        self._folder = folder
        self._cuts = pl.Series("key", cuts, dtype=pl.String)
        self._files: list[list[Path]] = [[] for _ in range(len(cuts) + 1)]

    def add(self, rows: pl.DataFrame, keys: pl.DataFrame) -> None:
        """Write rows, whose traces' `key`s are these (see `file_order.trace_keys`). Raises ScratchError."""
        part = self._cuts.search_sorted(keys.get_column("key"), side="left")
        of_trace = keys.select("trace_id", part=pl.Series(part, dtype=pl.UInt32))
        placed = rows.join(of_trace, on="trace_id", how="left", maintain_order="left")
        for (number,), found in placed.group_by("part"):
            files = self._files[int(number)]
            files.append(self._folder / f"{number}-{len(files)}.arrow")
            store(found.drop("part"), files[-1])

    def parts(self) -> Iterator[pl.DataFrame]:
        """Give the whole table in its order, a part at a time; what was given is gone."""
        for files in self._files:
            found = stored(files)
            if found is not None:
                yield in_file_order(found)
            for file in files:
                file.unlink()

    def __len__(self) -> int:
        return len(self._files)
