"""A table that may be larger than memory, or lie on many nodes: asked some whole traces at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import polars as pl

Told = TypeVar("Told")


class Parts(Protocol):
    """The parts of a table, each time the same ones; what is asked of a part may be answered where it lies.

    All spans of a trace are in one part; with `start` among the columns, its rows are in order of start, trace and id.
    """

    def __call__(self, ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        """Give what `ask` tells of these columns of each part, in the order of the parts."""


def one_part(table: pl.DataFrame) -> Parts:
    """Give a table that is in memory, in order of start, trace and id, as one part."""

    def ask_it(ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        yield ask(table.select(columns))

    return ask_it


def distinct(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put what several parts say together, each line of it once, in no order."""
    return pl.concat(parts).unique()
