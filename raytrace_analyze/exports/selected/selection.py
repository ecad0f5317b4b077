"""What every export takes: a selection of spans, and the critical path through them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import polars as pl

from raytrace_analyze.exports.selected.skeleton import Skeleton, skeleton_of
from raytrace_analyze.model import Progress
from raytrace_analyze.values import frozen

_ROWS = 1 << 13
"""How many rows are Python objects at a time."""

_PART_ROWS = 1 << 16
"""How many rows of a table in memory are a part."""


def _say_nothing() -> None:
    pass


@frozen
class Selection:
    """The spans to export, a part of them at a time, and the path through the scope that they are from."""

    source: Callable[[], Iterator[pl.DataFrame]]
    """Gives the spans anew, a part at a time: columns of `schema.TABLE`; those of a trace in order of start, of those
    that start together the longest first. Raises NoSpansError where there are none."""
    part_count: int
    """How many parts these are, some of them maybe empty."""
    segments: pl.DataFrame
    """The critical path: columns of `path.result.SEGMENTS`, oldest first, contiguous; no rows where it is not known."""
    path_name: str
    """What the path is of: a program, a root span, a task."""
    lies_by_trace: bool = False
    """Whether the spans of a trace come one after the other."""
    after_part: Callable[[], None] = _say_nothing
    """Is called whenever a part has been used."""

    @staticmethod
    def of(spans: pl.DataFrame, segments: pl.DataFrame, path_name: str, *, lies_by_trace: bool = False) -> "Selection":
        """Select all spans of a table that is in memory."""
        parts = -(-spans.height // _PART_ROWS)
        return Selection(lambda: spans.iter_slices(_PART_ROWS), parts, segments, path_name, lies_by_trace)

    def telling(self, progress: Progress, times: int) -> "Selection":
        """Give the same, where `progress` is told the share that is done if all is gone through `times` times."""
        shares = (part / (times * self.part_count) for part in range(1, times * self.part_count + 1))
        return replace(self, after_part=lambda: progress(next(shares, 1.0)))

    def parts(self) -> Iterator[pl.DataFrame]:
        """Give the spans anew, as `source` does."""
        for part in self.source():
            yield part
            self.after_part()

    def spans(self) -> pl.DataFrame:
        """Give all of it as one table."""
        return pl.concat(self.parts())

    def by_trace(self) -> "Selection":
        """Give the same with the spans of a trace one after the other."""
        if self.lies_by_trace:
            return self
        ordered = pl.concat(self.source()).sort("trace_id", maintain_order=True)
        by_trace = Selection.of(ordered, self.segments, self.path_name, lies_by_trace=True)
        return replace(by_trace, after_part=self.after_part)

    @cached_property
    def skeleton(self) -> Skeleton:
        """What can be held of however many spans, in the order of `rows`."""
        return skeleton_of(self.parts())

    @property
    def start_ns(self) -> int:
        """The earliest start, of the spans and of the path."""
        starts = [self.skeleton.rows.get_column("start_ns").min(), self.segments.get_column("start_ns").min()]
        return min((start for start in starts if isinstance(start, int)), default=0)

    def rows(self, columns: Iterable[str], *more: pl.Series) -> Iterator[dict[str, Any]]:
        """Give some columns of each span, and `more` columns beside them, as a dict, a slice of rows at a time.

        `start_ns` and `end_ns` (None in flight) are always there, as integers.
        """
        times = (pl.col(name).to_physical().alias(f"{name}_ns") for name in ("start", "end"))
        wanted = [*columns, *times]
        offset = 0
        for part in self.parts():
            for piece in part.select(wanted).iter_slices(_ROWS):
                beside = [column.slice(offset, piece.height) for column in more]
                offset += piece.height
                yield from piece.with_columns(beside).iter_rows(named=True)

    def path_span_ids(self) -> frozenset[tuple[str, str]]:
        """Give trace and span id of all spans on the path."""
        return frozenset(self.segments.select("trace_id", "span_id").drop_nulls().iter_rows())
