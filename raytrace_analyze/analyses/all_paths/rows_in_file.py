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
from raytrace_analyze.table.lineage import RowIds
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
        stretches = self._stretches[number]
        rows = pl.concat([self._table.slice(first, rows).collect() for first, rows in stretches])
        traces = self._traces.filter((pl.col("first") <= number) & (pl.col("last") >= number))
        held = _places(traces, stretches)
        order = order_by_start(rows, held)
        known = _known(rows, traces, held, order)
        found = [rows.drop("parent_place").rename({"path_attributes": "attributes"})]
        del rows
        return WindowSpans(with_all_columns(gathered(found.pop(), pl.Series(held[order]))), known)


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


def _places(traces: pl.DataFrame, stretches: list[tuple[int, int]]) -> RowIds:
    """Tell where the rows of traces are among those of stretches that hold them."""
    at, sizes = (traces.get_column(name).to_numpy().astype(np.int64) for name in ("at", "rows"))
    begins, lengths = np.array(stretches, dtype=np.int64).reshape(-1, 2).T
    within = np.searchsorted(begins, at, side="right") - 1
    first = at - begins[within] + (np.cumsum(lengths) - lengths)[within]
    return _one_by_one(first, sizes)


def _sessions(session: pl.Series, held: RowIds, number: RowIds) -> pl.Series:
    """Give the session of each trace (by its number): of several the first by name."""
    if session.n_unique() == 1:
        return session[:1].new_from_index(0, int(number.max(initial=-1)) + 1)
    named = pl.DataFrame({"session": session.gather(held), "number": number})
    return named.group_by("number").agg(pl.col("session").min()).sort("number").get_column("session")


def _one_by_one(first: RowIds, sizes: RowIds) -> RowIds:
    """Number on from each of some numbers, so many times."""
    numbers: RowIds = np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
    return numbers


def _known(rows: pl.DataFrame, traces: pl.DataFrame, held: RowIds, order: RowIds) -> Known:
    """Tell the parents and traces of the rows that are held, those of `traces`, when they are put in this order."""
    new = np.empty(order.size, dtype=np.int64)
    new[order] = np.arange(order.size)
    sizes = traces.get_column("rows").to_numpy().astype(np.int64)
    begins = np.cumsum(sizes) - sizes
    above = parents_of(rows.get_column("parent_place").gather(held), sizes)[order]
    # The first of a trace's rows is the first in order, too.
    by_start = np.argsort(new[begins])
    rank = np.empty(begins.size, dtype=np.int64)
    rank[by_start] = np.arange(begins.size)
    number = np.repeat(rank, sizes)
    sessions = _sessions(rows.get_column("session"), held, number)
    ids = traces.get_column("trace_id").gather(by_start)
    scopes = sessions.to_frame().select(kind=pl.lit(str(ScopeKind.TRACE)), id=ids, session="session")
    return Known(np.where(above >= 0, new[above], -1), Scopes(number[order], scopes))
