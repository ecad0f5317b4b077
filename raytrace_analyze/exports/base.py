"""What every export takes (a selection of spans, and the critical path through them) and is (an output format)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Protocol

import polars as pl

from raytrace_analyze.attributes import json_of

_ROWS = 1 << 13
"""How many rows are Python objects at a time."""


@dataclass(frozen=True)
class Selection:
    """The spans to export, and the path through the scope that they are from."""

    spans: pl.DataFrame
    """Columns of `schema.TABLE`, in order of start."""
    segments: pl.DataFrame
    """The critical path: columns of `path.result.SEGMENTS`, oldest first, contiguous."""
    path_name: str
    """What the path is of: a program, a root span, a task."""

    @property
    def start_ns(self) -> int:
        """The earliest start, of the spans and of the path."""
        starts = [self.spans.get_column("start").to_physical().min(), self.segments.get_column("start_ns").min()]
        return min((start for start in starts if isinstance(start, int)), default=0)

    @property
    def end_ns(self) -> int:
        """The latest time that stands in the spans: where those in flight are drawn to."""
        latest = self.spans.select(pl.max_horizontal(pl.col("start", "end").to_physical()).max()).item()
        return latest if isinstance(latest, int) else 0

    def rows(self, *more: pl.Series) -> Iterator[dict[str, Any]]:
        """Give each span as a dict of its columns and of `more` columns beside them, a slice of rows at a time.

        `start_ns` and `end_ns` (None in flight) are integers; there are no `start` and `end`.
        """
        table = self.spans.with_columns(*more)
        for part in table.iter_slices(_ROWS):
            times = part.with_columns(start_ns=pl.col("start").to_physical(), end_ns=pl.col("end").to_physical())
            yield from times.drop("start", "end").iter_rows(named=True)

    def path_span_ids(self) -> frozenset[tuple[str, str]]:
        """Give trace and span id of all spans on the path."""
        return frozenset(self.segments.select("trace_id", "span_id").drop_nulls().iter_rows())


class Rows(Protocol):
    """Something that gives spans one by one, as `Selection.rows` does."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give each span."""


@dataclass(frozen=True)
class OutputFormat:
    """One kind of file that `export` writes. A module states it as `FORMAT`; `exports.formats` lists all."""

    name: str
    """What a user calls it: the word behind `--to`."""
    write: Callable[[Selection, BinaryIO], None]
    """Write the selection to a binary stream, front to back, with no list of all spans in memory."""
    begins: re.Pattern[bytes]
    """How a file that `write` wrote begins, in its first 64 KiB: only such a file is replaced without being asked."""
    write_rows: Callable[[Rows, BinaryIO], None] | None = None
    """The same of spans one by one, for a format that needs neither the path nor any order of them."""


@lru_cache(maxsize=1024)
def resource_attributes(text: str | None) -> dict[str, Any]:
    """Give the attributes of a resource; old SDKs write them straight into it. Not to be changed: it is cached."""
    resource = json_of(text, {})
    nested = resource.get("attributes")
    return nested if isinstance(nested, dict) else resource
