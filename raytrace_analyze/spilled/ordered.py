"""A finished table on its way into the order of its file: cut where that order is known, then put in order."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

import polars as pl

from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.stored import putting_aside, store, stored
from raytrace_analyze.table.file_order import in_file_order, trace_keys
from raytrace_analyze.table.parts import Parts

_SAMPLE_ROWS = 4096
"""About so many rows of a part stand behind one key of its sample."""

Told = TypeVar("Told")


class Finished(NamedTuple, Generic[Told]):
    """What became of a bucket."""

    rows: pl.DataFrame
    """Columns of `schema.TABLE`."""
    keys: pl.DataFrame
    """The places of their traces; see `file_order.trace_keys`."""
    told: Told
    """What else is told of it."""


class Ordering(Protocol):
    """A table that is cut into parts by the order of its file, wherever these lie."""

    def fill(self, finish: Callable[[pl.DataFrame], Finished[Told]]) -> Iterator[Told]:
        """Put all buckets, finished, in their places; gives what else is told of each. Raises OSError."""

    def add(self, rows: pl.DataFrame, keys: pl.DataFrame) -> None:
        """Put rows that are of no bucket in their places. Raises OSError."""

    def parts(self) -> Iterator[pl.DataFrame]:
        """Give the whole table in its order, a part at a time; what was given is gone."""

    def __len__(self) -> int: ...


def sample_of(spans: pl.DataFrame) -> pl.DataFrame:
    """Give keys of traces here and there in a part of a table, from which `cuts` tells where to cut the whole."""
    keys = trace_keys(spans).sort("key")
    step = pl.col("rows").cum_sum() // _SAMPLE_ROWS
    return keys.group_by(step.alias("step")).agg(pl.col("key").last(), pl.col("rows").sum()).drop("step")


def cuts(samples: Sequence[pl.DataFrame], count: int) -> list[str]:
    """Give the keys that cut a table into about `count` parts of one size: each is the last of its part."""
    keys = pl.concat(samples).sort("key")
    rows = max(int(keys.get_column("rows").sum()) // count, 1)
    part = pl.col("rows").cum_sum() // rows
    return keys.group_by(part.alias("part")).agg(pl.col("key").last()).sort("key").get_column("key").to_list()[:-1]


def by_place(rows: pl.DataFrame, keys: pl.DataFrame, cut_at: Sequence[str]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Cut rows, whose traces' `key`s are these: gives what belongs to each part of the table that gets any."""
    part = pl.Series("key", cut_at, dtype=pl.String).search_sorted(keys.get_column("key"), side="left")
    of_trace = keys.select("trace_id", part=pl.Series(part, dtype=pl.UInt32))
    placed = rows.join(of_trace, on="trace_id", how="left", maintain_order="left")
    for (number,), found in placed.group_by("part"):
        yield int(number), found.drop("part")


class Ordered(Ordering):
    """A table in files of a folder."""

    def __init__(self, buckets: Parts, folder: Path, cut_at: Sequence[str]) -> None:
        with putting_aside():
            folder.mkdir()
        self._buckets = buckets
        self._folder = folder
        self._cut_at = cut_at
        self._files: list[list[Path]] = [[] for _ in range(len(cut_at) + 1)]

    def fill(self, finish: Callable[[pl.DataFrame], Finished[Told]]) -> Iterator[Told]:
        """Write all buckets, finished; gives what else is told of each. Raises OSError."""
        for rows, keys, told in self._buckets(finish, DECODED.names()):
            self.add(rows, keys)
            yield told

    def add(self, rows: pl.DataFrame, keys: pl.DataFrame) -> None:
        """Write rows that are of no bucket. Raises OSError."""
        for number, found in by_place(rows, keys, self._cut_at):
            files = self._files[number]
            files.append(self._folder / f"{number}-{len(files)}.arrow")
            store(found, files[-1])

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
