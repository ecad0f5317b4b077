"""What the spans on a path did with their own time: on the CPU, idle in what and where, or not known."""

import polars as pl

from raytrace_analyze.vocabulary.paths import Activity, Category

RUN_ACTIVITY = pl.Schema(
    {
        "span_id": pl.String,
        "function": pl.String,
        "task_id": pl.String,
        "name": pl.String,
        "self_ns": pl.Int64,
        "cpu_ns": pl.Int64,
        "idle_ns": pl.Int64,
        "unknown_ns": pl.Int64,
        "idle_in": pl.String,
        "idle_at": pl.String,
        "idle_there_ns": pl.Int64,
        "idle_times": pl.Int64,
    }
)
"""Columns of `CriticalPath.activity`: one row a span with own time on the path, which is `cpu_ns`, `idle_ns` and
`unknown_ns` (nobody looked) together. `idle_in` and `idle_at` are where it was idle longest (null: nowhere known),
`idle_there_ns` for how long in all, `idle_times` in how many stretches."""

_SPAN = ["span_id", "function", "task_id", "name"]


def run_activity(segments: pl.DataFrame) -> pl.DataFrame:
    """Sum the own time of a path (columns of `SEGMENTS`) by span: columns of `RUN_ACTIVITY`, the longest first."""
    own = segments.filter(pl.col("category") == Category.SELF)
    duration = pl.col("duration_ns")
    sums = own.group_by(_SPAN).agg(
        self_ns=duration.sum(),
        **{f"{each}_ns": duration.filter(pl.col("activity") == each).sum() for each in Activity},
    )
    places = (
        own.filter(pl.col("activity") == Activity.IDLE)
        .group_by(*_SPAN, "idle_in", "idle_at")
        .agg(idle_there_ns=duration.sum(), idle_times=pl.len())
        .sort("idle_there_ns", "idle_in", "idle_at", descending=[True, False, False])
        .unique(_SPAN, keep="first", maintain_order=True)
    )
    return (
        sums.join(places, on=_SPAN, how="left", nulls_equal=True)
        .sort("self_ns", "span_id", descending=[True, False], nulls_last=True)
        .select(RUN_ACTIVITY.names())
        .cast(RUN_ACTIVITY)
    )
