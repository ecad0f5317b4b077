"""What a path's time went to, in few words that add up."""

import polars as pl

from raytrace_analyze.queueing.causes import is_cold
from raytrace_analyze.vocabulary.paths import Activity, Category, Spent
from raytrace_analyze.vocabulary.queues import Cause

TIME = pl.Schema({"spent_on": pl.String, "total_ns": pl.Int64, "share": pl.Float64})
"""Columns of `Summary.time`: `spent_on` is one of `Spent`; together the rows are the makespan."""

_OF_CATEGORY = {
    Category.SUBMIT: Spent.SUBMIT,
    Category.QUEUE: Spent.QUEUE,
    Category.WAIT: Spent.WAIT,
    Category.FETCH: Spent.FETCH,
}
_OF_ACTIVITY = {Activity.CPU: Spent.CPU, Activity.IDLE: Spent.IDLE, Activity.UNKNOWN: Spent.RUNNING}


def spent_on() -> pl.Expr:
    """Name for each segment of a path (columns of `SEGMENTS`) what its time went to."""
    by_category = pl.col("category").replace_strict({str(k): str(v) for k, v in _OF_CATEGORY.items()}, default=None)
    by_activity = pl.col("activity").replace_strict({str(k): str(v) for k, v in _OF_ACTIVITY.items()}, default=None)
    # What is got for which no task stands (a placement group) is no result.
    is_thing = (pl.col("category") == Category.FETCH) & pl.col("idle_in").is_not_null()
    is_unknown = pl.col("cause").eq_missing(pl.lit(str(Cause.UNKNOWN)))
    spent = pl.when(is_cold()).then(pl.lit(str(Spent.START_UP))).when(is_thing).then(pl.lit(str(Spent.WAIT)))
    return spent.when(is_unknown).then(pl.lit(str(Spent.UNKNOWN))).otherwise(pl.coalesce(by_activity, by_category))


def time_spent(segments: pl.DataFrame, makespan_ns: int) -> pl.DataFrame:
    """Sum a path (columns of `SEGMENTS`) by what its time went to: columns of `TIME`, what took most first."""
    return (
        segments.group_by(spent_on=spent_on())
        .agg(total_ns=pl.col("duration_ns").sum())
        .with_columns(share=pl.col("total_ns") / max(makespan_ns, 1))
        .sort("total_ns", "spent_on", descending=[True, False])
        .cast(TIME)
    )
