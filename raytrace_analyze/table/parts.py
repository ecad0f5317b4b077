"""A table that may be larger than memory, looked at some whole traces at a time."""

from collections.abc import Callable, Iterator, Sequence

import polars as pl

Parts = Callable[[Sequence[str]], Iterator[pl.DataFrame]]
"""Gives the parts of a table one after another, with the columns asked for; the same parts each time it is called.

All spans of a trace are in one part; with `start` among the columns, its rows are in order of start, trace and id.
"""


def one_part(table: pl.DataFrame) -> Parts:
    """Give a table that is in memory, in order of start, trace and id, as one part."""
    return lambda columns: iter([table.select(columns)])


def distinct(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put what several parts say together, each line of it once, in no order."""
    return pl.concat(parts).unique()
