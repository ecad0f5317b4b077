"""Rows of a table by window, out of its file: in one in which jobs' traces lie in order of start, a window is a few
stretches of it."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from raytrace_analyze.analyses.all_paths.window import (
    SHOWN_ONLY,
    WindowSpans,
    order_by_start,
    parents_of,
    with_all_columns,
)
from raytrace_analyze.analyses.all_paths.windows import Windows
from raytrace_analyze.prepared import Known
from raytrace_analyze.table.file.gathered import gathered
from raytrace_analyze.table.lineage import RowIds, flags
from raytrace_analyze.trace.scopes import Scopes
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import ScopeKind

_BETWEEN = 1 << 14
"""So many rows that are not needed are read rather than passed over."""
_EACH = 1 << 15
"""About how many rows are read in vain for each stretch, as rows are packed together."""
_MOST = 2
"""How many rows may be read for each of the table."""


@frozen
class RowsInFile:
    """The rows of a table by window."""

    _table: pl.LazyFrame
    """The columns of `schema.TABLE` that have any value, `parent_place` and `path_attributes`."""
    _stretches: list[list[tuple[int, int]]]
    """By window: where it lies in the file, and how many rows."""
    _traces: pl.DataFrame

    def window(self, number: int) -> WindowSpans:
        """Give the rows of a window."""
        parts = [self._table.slice(first, rows).collect() for first, rows in self._stretches[number]]
        rows = pl.concat(parts)
        del parts
        rows = self._of_window(rows, number)
        order = order_by_start(rows)
        known = _known(rows, order)
        found = [rows.drop("parent_place").rename({"path_attributes": "attributes"})]
        del rows
        return WindowSpans(with_all_columns(gathered(found.pop(), pl.Series(order))), known)

    def _of_window(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        in_window = self._traces.filter((pl.col("first") <= number) & (pl.col("last") >= number))
        if in_window.get_column("rows").sum() == rows.height:
            return rows
        return rows.join(in_window.select("trace_id"), on="trace_id", how="semi", maintain_order="left")


def read_from_file(table: pl.LazyFrame, told: Sequence[str], windows: Windows) -> RowsInFile | None:
    """Prepare to read windows of a table (columns of `schema.FILE`) out of its file, of which it has the `told` ones.

    None where much more than the table would have to be read for that.
    """
    traces = windows.traces.sort("at")
    at, rows = (traces.get_column(name).to_numpy().astype(np.int64) for name in ("at", "rows"))
    if not np.array_equal(at[1:], (at + rows)[:-1]):
        return None  # traces do not lie together
    first, last = (traces.get_column(name).to_numpy() for name in ("first", "last"))
    stretches = [
        _stretches(at[held], rows[held])
        for number in range(len(windows.each))
        for held in [np.flatnonzero((first <= number) & (last >= number))]
    ]
    whole = int(rows.sum())
    if sum(size + _EACH for each in stretches for _, size in each) > _MOST * whole + _EACH:
        return None
    asked = [name for name in told if name not in (*SHOWN_ONLY, "attributes")]
    return RowsInFile(table.select(*asked, "parent_place", "path_attributes"), stretches, traces)


def _stretches(at: RowIds, rows: RowIds) -> list[tuple[int, int]]:
    """Put together what lies near each other: gives where each stretch begins, and how many rows it has."""
    end = at + rows
    begins = np.append(True, at[1:] - end[:-1] > _BETWEEN)[: at.size]
    first, last = at[begins], end[np.append(begins[1:], True)[: at.size]]
    return list(zip(first.tolist(), (last - first).tolist(), strict=True))


def _known(rows: pl.DataFrame, order: RowIds) -> Known:
    """Tell the parents and traces of rows, in which traces lie together, when they are put in this order."""
    new = np.empty(order.size, dtype=np.int64)
    new[order] = np.arange(order.size)
    above = parents_of(rows)[order]
    trace = rows.get_column("trace_id")
    begins = np.flatnonzero(flags(trace.ne_missing(trace.shift(1))))
    # The first of a trace's rows is the first in order, too.
    by_start = np.argsort(new[begins])
    rank = np.empty(begins.size, dtype=np.int64)
    rank[by_start] = np.arange(begins.size)
    number = np.repeat(rank, np.diff(np.append(begins, rows.height)))
    sessions = rows.select("session", number=number).group_by("number").agg(pl.col("session").min()).sort("number")
    traces = sessions.select(kind=pl.lit(str(ScopeKind.TRACE)), id=trace.gather(begins[by_start]), session="session")
    return Known(np.where(above >= 0, new[above], -1), Scopes(number[order], traces))
