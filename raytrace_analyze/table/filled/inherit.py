"""Fills in what a record leaves out and its surroundings tell: job, task, process, category."""

import numpy as np
import polars as pl

from raytrace_analyze.names.functions import WORKER
from raytrace_analyze.table.filled.begun import OF_CALLEE, Begun
from raytrace_analyze.table.filled.surroundings import OF_PROCESS, Surroundings, is_lost
from raytrace_analyze.table.lineage import nearest_ancestor

_OF_DRIVER = "^[0-9a-f]{8}f{40,}$"


def inherit(begun: Begun, surroundings: Surroundings) -> pl.DataFrame:
    """Fill what the spans' own traces left null from the process and from other traces.

    Gives the spans of `begun` with what the whole table tells. A value that the record has of its own is never changed,
    but for the job of what runs for another job's driver.
    """
    spans = _fill_process(_fill_by_task_id(begun.spans, surroundings.tasks), surroundings.processes)
    spans = _fill_job_from_file(spans, surroundings.jobs)
    return _name_workers(_follow_submitter(spans, begun), surroundings.drivers)


def _fill_by_task_id(spans: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """Fill from the task that a span names itself."""
    if tasks.is_empty():
        return spans
    return (
        spans.join(
            tasks.select("session", "task_id", pl.col(OF_CALLEE).name.prefix("of_task_")),
            on=["session", "task_id"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.when(is_lost()).then(pl.coalesce(name, f"of_task_{name}")).otherwise(name).alias(name)
            for name in OF_CALLEE
        )
        .drop(f"of_task_{name}" for name in OF_CALLEE)
    )


def _fill_process(spans: pl.DataFrame, processes: pl.DataFrame) -> pl.DataFrame:
    """Fill what a process has one of from what it says elsewhere."""
    if not any(spans.get_column(name).null_count() for name in OF_PROCESS):
        return spans
    told = ["instance_id", "source", *OF_PROCESS]
    return (
        spans.join(processes, on=told, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pl.col(f"filled_{name}").alias(name) for name in OF_PROCESS)
        .drop(f"filled_{name}" for name in OF_PROCESS)
    )


def _fill_job_from_file(spans: pl.DataFrame, jobs: pl.DataFrame) -> pl.DataFrame:
    """Fill `job_id` from the nearest span of the file that has one."""
    lacking = spans.select("session", "source", "start", "job_id").with_row_index("row")
    lacking = lacking.filter(pl.col("job_id").is_null())
    if lacking.is_empty() or jobs.is_empty():
        return spans
    near = lacking.sort("start").join_asof(
        jobs, on="start", by=["session", "source"], strategy="nearest", check_sortedness=False
    )
    row, found = near.get_column("row"), near.get_column("found")
    return spans.with_columns(spans.get_column("job_id").scatter(row, found))


def _follow_submitter(spans: pl.DataFrame, begun: Begun) -> pl.DataFrame:
    """Give runs, and all within them, the job of the driver that they were submitted for.

    A process of another job may execute them: that of a detached actor which several jobs share.
    """
    in_run = begun.is_run | (begun.task_row >= 0)
    job, session = (spans.get_column(name).hash().to_numpy() for name in ("job_id", "session"))
    submit = np.where(in_run, nearest_ancestor(begun.parent, ~in_run), -1)
    is_submit = (spans.get_column("category") == "submit").to_numpy()
    follows = (submit >= 0) & is_submit[submit] & (session[submit] == session) & (job[submit] != job)
    if not follows.any():
        return spans
    of_submit = spans.get_column("job_id").gather(pl.Series(np.maximum(submit, 0)))
    return spans.with_columns(
        job_id=pl.when(pl.Series(follows) & of_submit.is_not_null()).then(of_submit).otherwise("job_id")
    )


def _name_workers(spans: pl.DataFrame, drivers: pl.Series) -> pl.DataFrame:
    """Book what belongs to no task under its worker process: it is no driver's, whose id begins with its job's."""
    is_driver = pl.col("worker_id").str.contains(_OF_DRIVER) | pl.col("worker_id").is_in(drivers.implode())
    in_worker = pl.col("worker_id").is_not_null() & ~is_driver
    return spans.with_columns(
        function=pl.when(pl.col("function").is_null() & in_worker).then(pl.lit(WORKER)).otherwise("function")
    )
