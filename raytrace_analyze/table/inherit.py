"""Fills in what a record leaves out and its surroundings tell: job, task, process, category."""

import numpy as np
import polars as pl

from raytrace_analyze.function_names import WORKER
from raytrace_analyze.schema import Category, Kind
from raytrace_analyze.table.lineage import Flags, RowIds, cut_circles, nearest_ancestor, parent_rows
from raytrace_analyze.table.operators import name_operators
from raytrace_analyze.table.served import relate_requests

_FROM_TASK = ("task_id", "node_id", "worker_id", "job_id", "pid", "host")
"""What every span within a task shares with it."""
_FROM_TASK_UNLESS_SUBMIT = ("function", "actor_id")
"""What a submit has of its own: there it means the callee's."""
_OF_DRIVER = "^[0-9a-f]{8}f{40,}$"
_FROM_PROCESS = ("pid", "host", "node_id", "worker_id")


def run_flags(kind: pl.Series, parent: RowIds) -> Flags:
    """Tell which spans are runs: a CONSUMER whose parent is a PRODUCER, or is missing."""
    is_consumer = (kind == "CONSUMER").to_numpy()
    is_producer = (kind == "PRODUCER").to_numpy()
    return np.asarray(is_consumer & ((parent < 0) | is_producer[parent]))


def add_category(spans: pl.DataFrame, is_run: Flags) -> pl.DataFrame:
    """Add the column `category`, told from kind, name and what the hook recorded."""
    category = (
        pl.when(pl.col("kind") == pl.lit("PRODUCER", Kind))
        .then(pl.lit("submit"))
        .when(pl.Series(is_run))
        .then(pl.lit("task"))
        .when(pl.col("ready_task_ids").is_not_null())
        .then(pl.lit("wait"))
        .when(pl.col("name") == "ray.put")
        .then(pl.lit("put"))
        .when(pl.col("name") == "ray.driver")
        .then(pl.lit("driver"))
        .otherwise(pl.lit("custom"))
    )
    return spans.with_columns(category=category.cast(Category))


def inherit(spans: pl.DataFrame) -> pl.DataFrame:
    """Fill nulls from the enclosing task, then the process, then the trace; add `category`.

    Takes a table with columns of `schema.DECODED` in which every span has a session, each span once.
    A value that the record has of its own is never changed.
    """
    start_ns = spans.get_column("start").to_physical().to_numpy()
    parent, _ = cut_circles(parent_rows(spans), start_ns, spans.get_column("span_id"))
    spans = name_operators(relate_requests(spans, parent), parent)
    is_run = run_flags(spans.get_column("kind"), parent)
    spans = add_category(spans, is_run)
    task_row = np.where(is_run, -1, nearest_ancestor(parent, is_run))
    spans = _fill_job(_fill_process(_fill_by_task_id(_fill_from_task(spans, task_row), is_run)))
    return _name_workers(_follow_submitter(spans, parent, is_run, task_row))


def _name_workers(spans: pl.DataFrame) -> pl.DataFrame:
    """Book what belongs to no task under its worker process: it is no driver's, whose id begins with its job's."""
    drivers = spans.filter(pl.col("category") == pl.lit("driver", Category)).get_column("worker_id").drop_nulls()
    is_driver = pl.col("worker_id").str.contains(_OF_DRIVER) | pl.col("worker_id").is_in(drivers.unique().implode())
    in_worker = pl.col("worker_id").is_not_null() & ~is_driver
    return spans.with_columns(
        function=pl.when(pl.col("function").is_null() & in_worker).then(pl.lit(WORKER)).otherwise("function")
    )


def _fill_from_task(spans: pl.DataFrame, task_row: RowIds) -> pl.DataFrame:
    index = pl.Series(task_row).replace(-1, None)
    task = spans.select(
        pl.col(*_FROM_TASK, *_FROM_TASK_UNLESS_SUBMIT).gather(index),
    )
    is_submit = pl.col("category") == pl.lit("submit", Category)
    return spans.with_columns(
        *(pl.col(name).fill_null(task.get_column(name)) for name in _FROM_TASK),
        *(
            pl.when(is_submit).then(pl.col(name)).otherwise(pl.col(name).fill_null(task.get_column(name)))
            for name in _FROM_TASK_UNLESS_SUBMIT
        ),
    )


def _fill_by_task_id(spans: pl.DataFrame, is_run: Flags) -> pl.DataFrame:
    """Fill from the task that a span names itself: in a thread it has lost the context, not the id of its task."""
    is_submit = pl.col("category") == pl.lit("submit", Category)
    lost = pl.col("function").is_null() & pl.col("task_id").is_not_null() & ~is_submit
    if not spans.select(lost.any()).item():
        return spans
    task = (
        spans.filter(pl.Series(is_run) & pl.col("task_id").is_not_null())
        .group_by("session", "task_id")
        .agg(pl.col(*_FROM_TASK_UNLESS_SUBMIT).min().name.prefix("of_task_"))
    )
    filled = {name: pl.coalesce(name, f"of_task_{name}") for name in _FROM_TASK_UNLESS_SUBMIT}
    return (
        spans.join(task, on=["session", "task_id"], how="left", maintain_order="left")
        .with_columns(**{name: pl.when(lost).then(value).otherwise(name) for name, value in filled.items()})
        .drop(f"of_task_{name}" for name in _FROM_TASK_UNLESS_SUBMIT)
    )


def _fill_process(spans: pl.DataFrame) -> pl.DataFrame:
    """Fill what a process has one of from its other spans: those of its instance id, else of its file."""
    for process in ("instance_id", "source"):
        for name in _FROM_PROCESS:
            if spans.get_column(name).null_count():
                spans = spans.with_columns(_fill_from_only_value(name, process))
    return spans


def _fill_from_only_value(name: str, process: str) -> pl.Expr:
    """Fill nulls of a column with the one value it has in the process; leave them where there are several."""
    values = pl.col(name).drop_nulls()
    only = pl.when(values.n_unique().over(process) == 1).then(values.max().over(process))
    return pl.when(pl.col(process).is_not_null()).then(pl.coalesce(name, only)).otherwise(name).alias(name)


def _follow_submitter(spans: pl.DataFrame, parent: RowIds, is_run: Flags, task_row: RowIds) -> pl.DataFrame:
    """Give runs, and all within them, the job of the driver that they were submitted for.

    A process of another job may execute them: that of a detached actor which several jobs share.
    """
    in_run = is_run | (task_row >= 0)
    job, session = (spans.get_column(name).hash().to_numpy() for name in ("job_id", "session"))
    submit = np.where(in_run, nearest_ancestor(parent, ~in_run), -1)
    is_submit = (spans.get_column("category") == "submit").to_numpy()
    follows = (submit >= 0) & is_submit[submit] & (session[submit] == session) & (job[submit] != job)
    if not follows.any():
        return spans
    of_submit = spans.get_column("job_id").gather(pl.Series(np.maximum(submit, 0)))
    return spans.with_columns(
        job_id=pl.when(pl.Series(follows) & of_submit.is_not_null()).then(of_submit).otherwise("job_id")
    )


def _fill_job(spans: pl.DataFrame) -> pl.DataFrame:
    """Fill `job_id` from the trace where it knows one job only, else from the nearest span of the file."""
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
    spans = (
        spans.join(jobs, on=["session", "trace_id"], how="left", maintain_order="left")
        .with_columns(pl.col("job_id").fill_null(pl.col("found")))
        .drop("found")
    )
    known = (
        spans.lazy()
        .filter(pl.col("job_id").is_not_null())
        .select("session", "source", "start", found="job_id")
        .sort("start", "found")
        .collect()
    )
    near = (
        spans.select("session", "source", "start", "job_id")
        .with_row_index("row")
        .filter(pl.col("job_id").is_null())
        .sort("start")
        .join_asof(known, on="start", by=["session", "source"], strategy="nearest", check_sortedness=False)
        .sort("row")
    )
    found = near.select("row", "found")
    return (
        spans.with_row_index("row")
        .join(found, on="row", how="left", maintain_order="left")
        .with_columns(pl.col("job_id").fill_null(pl.col("found")))
        .drop("row", "found")
    )
