"""A job that somebody stopped with Ctrl-C or a signal while it hung: what had not ended at that moment."""

from typing import Any

import polars as pl

from raytrace_analyze.path.outcome import STOPPED, error_name


def reopened(spans: pl.DataFrame) -> pl.DataFrame:
    """Give a table (columns of `schema.TABLE`) as it was when its drivers were stopped.

    A driver was stopped where the last that it did is a wait that failed so, where it itself did, or where it ended
    while another thread of it still waited. What was open then, and ended because of it, has no end any more, and
    what the same job began after that is left out. Of sessions whose drivers were not stopped all stays as it is.
    """
    category = pl.col("category").cast(pl.String)
    own = spans.filter(category.is_in(["wait", "submit"]), pl.col("task_id").is_null())
    last = own.sort("start", "end", nulls_last=True).group_by("session", "job_id", maintain_order=True).last()
    stopped = last.filter(
        category == "wait",
        pl.col("status").cast(pl.String) == "ERROR",
        error_name().is_in(STOPPED),
        pl.col("end").is_not_null(),
    )
    still_waits = own.filter(category == "wait", pl.col("end").is_null()).select("session", "job_id").unique()
    drivers = spans.filter(category == "driver", pl.col("end").is_not_null())
    left = drivers.join(still_waits, on=["session", "job_id"], how="semi", nulls_equal=True)
    outside = drivers.filter(pl.col("status").cast(pl.String) == "ERROR", error_name().is_in(STOPPED))
    stopped = pl.concat([each.select("session", "job_id", "end") for each in (stopped, left, outside)])
    if stopped.is_empty():
        return spans
    at = stopped.group_by("session").agg(stopped_at=pl.col("end").min())
    of_job = stopped.group_by("session", "job_id").agg(job_stopped_at=pl.col("end").min())
    was_open = (pl.col("start") < pl.col("stopped_at")) & (pl.col("end") >= pl.col("stopped_at"))
    joining: Any = {"how": "left", "nulls_equal": True, "maintain_order": "left"}
    return (
        spans.join(at, on="session", **joining)
        .join(of_job, on=["session", "job_id"], **joining)
        .filter((pl.col("start") < pl.col("job_stopped_at")).fill_null(value=True))
        .with_columns(end=pl.when(was_open).then(None).otherwise("end"))
        .drop("stopped_at", "job_stopped_at")
    )
