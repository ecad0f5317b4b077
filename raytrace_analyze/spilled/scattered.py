"""Decoded spans in buckets of whole traces, wherever these lie: how they are cut, what can be asked."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import polars as pl

from raytrace_analyze.schema import DECODED
from raytrace_analyze.table.assemble import in_order
from raytrace_analyze.table.checked import clamped
from raytrace_analyze.table.parts import distinct

_ORDER = ("start", "trace_id", "span_id")
_SEED = 7

Told = TypeVar("Told")


class Scattered(ABC):
    """Spans (columns of `schema.DECODED`) by trace, in buckets that are small enough for memory each."""

    count: int
    """How many buckets there are."""
    records: int
    """How many records were added."""

    @abstractmethod
    def add(self, frame: pl.DataFrame) -> None:
        """Take spans in; they are in their buckets when `close` was called. Raises OSError."""

    @abstractmethod
    def close(self) -> None:
        """Have in their buckets what was added so far. Raises OSError."""

    @abstractmethod
    def deduplicate(self) -> list[pl.DataFrame]:
        """Keep one record of each span; gives those whose copies contradict each other, bucket by bucket."""

    @abstractmethod
    def each(self, ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        """Give what `ask` tells of these columns of each bucket that is not empty; its rows are in no order."""

    def distinct(self, columns: Sequence[str]) -> pl.DataFrame:
        """Give what these columns of all the spans say, each line once."""
        self.close()
        return distinct([DECODED.to_frame().select(columns), *self.each(pl.DataFrame.unique, columns)])

    def recorded(self, ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        """Ask for the spans as they were recorded, with `start` in order of start, trace and id."""
        return self.each(*as_recorded(ask, columns))

    def parts(self, ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        """Ask for the spans as `recorded` does, with no end before its start; see `table.parts.Parts`."""
        return self.each(*as_parts(ask, columns))


Question = tuple[Callable[[pl.DataFrame], Told], Sequence[str]]
"""What is asked of a bucket, and of which of its columns, its rows in no order."""


def as_recorded(ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Question[Told]:
    """Give the question to a bucket's rows in no order that asks for the spans as `Scattered.recorded` does."""
    needed = tuple(dict.fromkeys([*columns, *(_ORDER if "start" in columns else ())]))
    return partial(_ask_in_order, ask=ask, columns=columns), needed


def as_parts(ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Question[Told]:
    """Give the question to a bucket's rows in no order that asks for the spans as `Scattered.parts` does."""
    return as_recorded(partial(_ask_clamped, ask=ask) if "end" in columns else ask, columns)


def bucket_of(spans: pl.DataFrame, count: int) -> pl.Series:
    """Tell for each span in which of `count` buckets it belongs: all of a trace in one."""
    return spans.get_column("trace_id").hash(_SEED) % count


def _ask_in_order(spans: pl.DataFrame, ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Told:
    return ask(in_order(spans).select(columns) if "start" in columns else spans)


def _ask_clamped(spans: pl.DataFrame, ask: Callable[[pl.DataFrame], Told]) -> Told:
    return ask(clamped(spans))
