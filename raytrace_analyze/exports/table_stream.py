"""A span table that is exported as it is read, for formats that need one span at a time and no path."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from raytrace_analyze.errors import NoSpansError
from raytrace_analyze.exports.base import Selection
from raytrace_analyze.exports.select import touching
from raytrace_analyze.path.result import SEGMENTS
from raytrace_analyze.schema import FROM_EVENTS, TABLE
from raytrace_analyze.table.checked import clamp_ends
from raytrace_analyze.trace.scopes import find_job, find_trace, number_scopes

_SLICE = 1 << 16
"""How many rows are in memory at a time, beside the row group of the file that they are from."""

_OF_SCOPES = ("trace_id", "session", "job_id", "start")


@dataclass(frozen=True)
class TableStream:
    """The spans of a table that `merge` wrote, chosen as `select` does but for the path."""

    path: Path
    job: str | None = None
    trace: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    min_duration_ns: int = 0

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give each span as `Selection.rows` does, in the order of the table, a part of it in memory at a time.

        Raises UsageError for a scope that is unknown or ambiguous, NoSpansError where nothing is left.
        """
        table = pl.scan_parquet(self.path, glob=False)
        in_scope = self._scopes(table)
        is_any = False
        for offset in range(0, int(table.select(pl.len()).collect().item()), _SLICE):
            part = table.slice(offset, _SLICE).collect()
            part = part.filter(~pl.col(FROM_EVENTS).fill_null(False)) if FROM_EVENTS in part.columns else part
            for scope in in_scope:
                part = part.join(scope, on=scope.columns, how="semi", nulls_equal=True, maintain_order="left")
            part, _ = clamp_ends(touching(part, self.from_ns, self.to_ns, self.min_duration_ns))
            is_any |= part.height > 0
            known = part.select(name for name in TABLE if name in part.columns)
            yield from Selection(known, SEGMENTS.to_frame(), "").rows()
        if not is_any:
            raise NoSpansError("no span is left to export: the filters leave none")

    def _scopes(self, table: pl.LazyFrame) -> list[pl.DataFrame]:
        """Give what the rows of the job and of the trace that were asked for have in common."""
        found = []
        for wanted, kind, columns in ((self.job, "jobs", ("session", "job_id")), (self.trace, "traces", ("trace_id",))):
            if wanted is not None:
                spans = table.select(_OF_SCOPES).unique(list(columns), keep="any").collect()
                scope_of, keys = number_scopes(spans, kind)
                number = find_job(keys, wanted) if kind == "jobs" else find_trace(keys, wanted)
                found.append(spans.filter(pl.Series(scope_of) == number).select(columns).unique())
        return found


def has_one_clock(path: Path) -> bool:
    """Tell whether all spans of a table are from one machine, so that no clock can be off against another."""
    machines = pl.scan_parquet(path, glob=False).select(pl.struct("node_id", "host").n_unique())
    return int(machines.collect().item()) <= 1
