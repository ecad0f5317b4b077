"""A finished table on its way into the order of its file: cut where that order is known, then put in order."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

import polars as pl

from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.shelves import Shelves
from raytrace_analyze.table.file.order import in_file_order, trace_keys
from raytrace_analyze.table.parts import Parts

_SAMPLED = 64
"""About so many traces of a bucket are in its sample."""
_SEED = 11
"""Another one than buckets are told by: what is in one is a sample of all then."""

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
    """Give keys of traces here and there in a part of a table, from which `cuts` tells where to cut the whole.

    Each with the `rows` that it stands for. The largest traces are among them, whatever else is.
    """
    keys = trace_keys(spans)
    every = max(keys.height // _SAMPLED, 1)
    is_large = pl.col("rows") * _SAMPLED > pl.col("rows").sum() * 2
    is_chosen = pl.col("trace_id").hash(_SEED) % every == 0
    return keys.filter(is_large | is_chosen).select(
        "key", rows=pl.when(is_large).then("rows").otherwise(pl.col("rows") * every)
    )


def cuts(samples: Sequence[pl.DataFrame], count: int) -> list[str]:
    """Give the keys that cut a table into about `count` parts of one size: each is the last of its part."""
    keys = pl.concat(samples).sort("key")
    rows = max(int(keys.get_column("rows").sum()) // count, 1)
    part = pl.col("rows").cum_sum() // rows
    return keys.group_by(part.alias("part")).agg(pl.col("key").last()).sort("key").get_column("key").to_list()[:-1]


def place_of(rows: pl.DataFrame, keys: pl.DataFrame, cut_at: Sequence[str]) -> pl.Series:
    """Tell for each row, whose traces' `key`s are these, to which part of the table it belongs."""
    part = pl.Series("key", cut_at, dtype=pl.String).search_sorted(keys.get_column("key"), side="left")
    of_trace = keys.select("trace_id", part=pl.Series(part, dtype=pl.UInt32))
    return rows.select("trace_id").join(of_trace, on="trace_id", how="left", maintain_order="left").get_column("part")


class Ordered(Ordering):
    """A table in files of a folder."""

    def __init__(self, buckets: Parts, folder: Path, most_bytes: int, cut_at: Sequence[str]) -> None:
        """Take what becomes of buckets, `most_bytes` of it in memory until it is written. Raises OSError."""
        self._buckets = buckets
        self._cut_at = cut_at
        self._rows = Shelves(folder, len(cut_at) + 1, most_bytes)

    def fill(self, finish: Callable[[pl.DataFrame], Finished[Told]]) -> Iterator[Told]:
        """Write all buckets, finished; gives what else is told of each. Raises OSError."""
        for rows, keys, told in self._buckets(finish, DECODED.names()):
            self.add(rows, keys)
            yield told

    def add(self, rows: pl.DataFrame, keys: pl.DataFrame) -> None:
        """Write rows that are of no bucket. Raises OSError."""
        self._rows.put(rows, place_of(rows, keys, self._cut_at))

    def parts(self) -> Iterator[pl.DataFrame]:
        """Give the whole table in its order, a part at a time; what was given is gone."""
        self._rows.write()
        for number in range(len(self._rows)):
            found = self._rows.get(number)
            if found is not None:
                yield in_file_order(found)
            self._rows.remove(number)

    def __len__(self) -> int:
        return len(self._rows)
