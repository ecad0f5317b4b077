"""A job or a trace as a tree: every span below its parent, in order of time, and how much of it is on the path."""

import numpy as np
import polars as pl

from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.scopes import find_job, find_trace, number_scopes
from raytrace_analyze.values import frozen

TREE = pl.Schema(
    {
        "depth": pl.Int64,
        "span_id": pl.String,
        "parent_id": pl.String,
        "trace_id": pl.String,
        "name": pl.String,
        "function": pl.String,
        "category": pl.String,
        "status": pl.String,
        "pid": pl.Int64,
        "start_ns": pl.Int64,
        "end_ns": pl.Int64,
        "duration_ns": pl.Int64,
        "path_ns": pl.Int64,
    }
)
"""Columns of `TraceTree.spans`: one row a span, parents before their children, siblings by their starts. `depth` is 0
for a root. Times are ns since the epoch; `end_ns` and `duration_ns` are null for a span that never ended. `path_ns` is
how much of the critical path lies in the span itself, 0 off the path."""


@frozen
class TraceTree:
    """A scope as a tree of spans."""

    path: CriticalPath
    """The critical path of the scope."""
    spans: pl.DataFrame
    """Columns of `TREE`."""


def trace_tree(
    spans: Trace, *, job: str | None = None, trace: str | None = None, options: PathOptions | None = None
) -> TraceTree:
    """Give a trace, a job, or else the longest job as a tree, with the critical path marked.

    Takes a span table (columns of `schema.TABLE`), or what `prepare` made of one. A span whose parent is not in the
    scope is a root. Raises NoSpansError for an empty table, UsageError for a scope that is unknown or ambiguous.
    """
    prepared = prepare(spans)
    path = critical_path(prepared, job=job, trace=trace, options=options)
    kind = "traces" if trace is not None else "jobs"
    scope_of, keys = number_scopes(prepared.spans, kind)
    wanted = path.scope.chosen_by
    number = find_trace(keys, wanted) if trace is not None else find_job(keys, wanted)
    inside = np.flatnonzero(scope_of == number)
    parent = _within(prepared.structure.parent, inside, prepared.spans.height)
    order, depth = _preorder(parent)
    rows = _frame(prepared.spans[inside], path).with_columns(depth=depth)
    return TraceTree(path, rows[order].select(TREE.names()))


def _within(parent: RowIds, inside: RowIds, count: int) -> RowIds:
    """Give the parents among some rows, by their place in these."""
    place = np.full(count + 1, -1, dtype=np.int64)
    place[inside] = np.arange(inside.size)
    return np.asarray(place[parent[inside]])


def _preorder(parent: RowIds) -> tuple[RowIds, RowIds]:
    """Give the rows, which are in order of time, parents before their children; and by row how deep it lies."""
    depth = np.full(parent.size, -1, dtype=np.int64)
    levels = [np.flatnonzero(parent < 0)]
    while levels[-1].size:
        depth[levels[-1]] = len(levels) - 1
        levels.append(np.flatnonzero((depth < 0) & (parent >= 0) & (depth[parent] == len(levels) - 1)))
    size = np.ones(parent.size, dtype=np.int64)
    for level in reversed(levels[1:]):
        np.add.at(size, parent[level], size[level])
    place = np.zeros(parent.size, dtype=np.int64)
    for level in levels[:-1]:
        order = level[np.argsort(parent[level], kind="stable")]
        above = parent[order]
        before = np.cumsum(size[order]) - size[order]
        first = np.concatenate([[True], above[1:] != above[:-1]])
        own = before - np.maximum.accumulate(np.where(first, before, 0))
        place[order] = own + np.where(above >= 0, place[above] + 1, 0)
    return np.argsort(place, kind="stable"), depth


def _frame(spans: pl.DataFrame, path: CriticalPath) -> pl.DataFrame:
    start, end = (pl.col(name).to_physical() for name in ("start", "end"))
    on_path = path.segments.group_by("trace_id", "span_id").agg(path_ns=pl.col("duration_ns").sum())
    return spans.join(on_path, on=["trace_id", "span_id"], how="left", maintain_order="left").with_columns(
        pl.col("category", "status").cast(pl.String),
        pl.col("path_ns").fill_null(0),
        start_ns=start,
        end_ns=end,
        duration_ns=end - start,
    )
