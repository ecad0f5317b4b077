"""Spans with all that their own traces tell: category, the task that a span is in, the job of a trace."""

import numpy as np
import polars as pl

from raytrace_analyze.names.spans import DRIVER_SPAN, PUT
from raytrace_analyze.schema import Category, Kind
from raytrace_analyze.table.filled.operators import name_operators
from raytrace_analyze.table.filled.served import relate_requests
from raytrace_analyze.table.lineage import Flags, RowIds, cut_circles, nearest_ancestor, parent_rows, run_flags
from raytrace_analyze.values import frozen

_FROM_TASK = ("task_id", "node_id", "worker_id", "job_id", "pid", "host")
"""What every span within a task shares with it."""
OF_CALLEE = ("function", "actor_id")
"""What a submit has of its own: there it means the callee's."""


@frozen
class Begun:
    """Spans of whole traces; rows are positions in `spans`."""

    spans: pl.DataFrame
    """Columns of `schema.DECODED`, and `category`."""
    parent: RowIds
    is_run: Flags
    task_row: RowIds
    """The run that a span is in; -1 for none, and for runs."""
    lacks_parent: Flags
    """Whether a span names a parent that is not there."""


def add_category(spans: pl.DataFrame, is_run: Flags) -> pl.DataFrame:
    """Add the column `category`, told from kind, name and what the hook recorded."""
    category = (
        pl.when(pl.col("kind") == pl.lit("PRODUCER", Kind))
        .then(pl.lit("submit"))
        .when(pl.Series(is_run))
        .then(pl.lit("task"))
        .when(pl.col("ready_task_ids").is_not_null())
        .then(pl.lit("wait"))
        .when(pl.col("name") == PUT)
        .then(pl.lit("put"))
        .when(pl.col("name") == DRIVER_SPAN)
        .then(pl.lit("driver"))
        .otherwise(pl.lit("custom"))
    )
    return spans.with_columns(category=category.cast(Category))


def begin(spans: pl.DataFrame, operators: pl.DataFrame) -> Begun:
    """Fill nulls from the enclosing task and the trace; add `category`.

    Takes whole traces, columns of `schema.DECODED` (texts that nothing is told from may be missing) in which every span
    has a session, each span once; and the names of Ray Data's operators in the whole table. A value that the record has
    of its own is never changed.
    """
    start_ns = spans.get_column("start").to_physical().to_numpy()
    known = parent_rows(spans)
    lacks_parent = (known < 0) & spans.get_column("parent_id").is_not_null().to_numpy()
    parent, _ = cut_circles(known, start_ns, spans.get_column("span_id"))
    spans = name_operators(relate_requests(spans, parent), parent, operators)
    is_run = run_flags(spans.get_column("kind"), parent)
    spans = add_category(spans, is_run)
    task_row = np.where(is_run, -1, nearest_ancestor(parent, is_run))
    return Begun(_fill_job_from_trace(_fill_from_task(spans, task_row)), parent, is_run, task_row, lacks_parent)


def _fill_from_task(spans: pl.DataFrame, task_row: RowIds) -> pl.DataFrame:
    index = pl.Series(task_row).replace(-1, None)
    task = spans.select(
        pl.col(*_FROM_TASK, *OF_CALLEE).gather(index),
    )
    is_submit = pl.col("category") == pl.lit("submit", Category)
    return spans.with_columns(
        *(pl.col(name).fill_null(task.get_column(name)) for name in _FROM_TASK),
        *(
            pl.when(is_submit).then(pl.col(name)).otherwise(pl.col(name).fill_null(task.get_column(name)))
            for name in OF_CALLEE
        ),
    )


def _fill_job_from_trace(spans: pl.DataFrame) -> pl.DataFrame:
    """Fill `job_id` from the trace where it knows one job only."""
    if not spans.get_column("job_id").null_count():
        return spans
    jobs = (
        spans.lazy()
        .filter(pl.col("job_id").is_not_null())
        .group_by("session", "trace_id")
        .agg(jobs=pl.col("job_id").n_unique(), found=pl.col("job_id").min())
        .filter(pl.col("jobs") == 1)
        .drop("jobs")
        .collect()
    )
    return (
        spans.join(jobs, on=["session", "trace_id"], how="left", maintain_order="left")
        .with_columns(pl.col("job_id").fill_null(pl.col("found")))
        .drop("found")
    )
