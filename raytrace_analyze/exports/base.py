"""What every export takes (a selection of spans, and the critical path through them) and is (an output format)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, BinaryIO

import polars as pl

from raytrace_analyze.attributes import json_of
from raytrace_analyze.exports.skeleton import Skeleton, skeleton_of

_ROWS = 1 << 13
"""How many rows are Python objects at a time."""


@dataclass(frozen=True)
class Selection:
    """The spans to export, a part of them at a time, and the path through the scope that they are from."""

    parts: Callable[[], Iterator[pl.DataFrame]]
    """Gives the spans anew: columns of `schema.TABLE`; those of a trace in order of start, of those that start together
    the longest first. Raises NoSpansError where there are none."""
    segments: pl.DataFrame
    """The critical path: columns of `path.result.SEGMENTS`, oldest first, contiguous; no rows where it is not known."""
    path_name: str
    """What the path is of: a program, a root span, a task."""
    lies_by_trace: bool = False
    """Whether the spans of a trace come one after the other."""

    @staticmethod
    def of(spans: pl.DataFrame, segments: pl.DataFrame, path_name: str, *, lies_by_trace: bool = False) -> "Selection":
        """Select all spans of a table that is in memory."""
        return Selection(lambda: iter((spans,)), segments, path_name, lies_by_trace)

    def spans(self) -> pl.DataFrame:
        """Give all of it as one table."""
        return pl.concat(self.parts())

    def by_trace(self) -> "Selection":
        """Give the same with the spans of a trace one after the other."""
        if self.lies_by_trace:
            return self
        ordered = self.spans().sort("trace_id", maintain_order=True)
        return Selection.of(ordered, self.segments, self.path_name, lies_by_trace=True)

    @cached_property
    def skeleton(self) -> Skeleton:
        """What can be held of however many spans, in the order of `rows`."""
        return skeleton_of(self.parts())

    @property
    def start_ns(self) -> int:
        """The earliest start, of the spans and of the path."""
        starts = [self.skeleton.rows.get_column("start_ns").min(), self.segments.get_column("start_ns").min()]
        return min((start for start in starts if isinstance(start, int)), default=0)

    def rows(self, *more: pl.Series) -> Iterator[dict[str, Any]]:
        """Give each span as a dict of its columns and of `more` columns beside them, a slice of rows at a time.

        `start_ns` and `end_ns` (None in flight) are integers; there are no `start` and `end`.
        """
        offset = 0
        for part in self.parts():
            for piece in part.iter_slices(_ROWS):
                times = piece.with_columns(
                    *(column.slice(offset, piece.height) for column in more),
                    start_ns=pl.col("start").to_physical(),
                    end_ns=pl.col("end").to_physical(),
                )
                offset += piece.height
                yield from times.drop("start", "end").iter_rows(named=True)

    def path_span_ids(self) -> frozenset[tuple[str, str]]:
        """Give trace and span id of all spans on the path."""
        return frozenset(self.segments.select("trace_id", "span_id").drop_nulls().iter_rows())


@dataclass(frozen=True)
class OutputFormat:
    """One kind of file that `export` writes. A module states it as `FORMAT`; `exports.formats` lists all."""

    name: str
    """What a user calls it: the word behind `--to`."""
    write: Callable[[Selection, BinaryIO], None]
    """Write the selection to a binary stream, front to back, with no list of all spans in memory."""
    begins: re.Pattern[bytes]
    """How a file that `write` wrote begins, in its first 64 KiB: only such a file is replaced without being asked."""
    streams: bool = True
    """Whether the spans are taken a part at a time, so that they need not fit into memory."""
    shows_path: bool = True
    """Whether the critical path is in it."""


@lru_cache(maxsize=1024)
def resource_attributes(text: str | None) -> dict[str, Any]:
    """Give the attributes of a resource; old SDKs write them straight into it. Not to be changed: it is cached."""
    resource = json_of(text, {})
    nested = resource.get("attributes")
    return nested if isinstance(nested, dict) else resource
