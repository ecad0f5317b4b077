"""What is in a span table: its jobs and its traces."""

import numpy as np
import polars as pl

from raytrace_analyze.attributes import entrypoint
from raytrace_analyze.clocks.correction import build_corrected
from raytrace_analyze.schema import PROCESS
from raytrace_analyze.trace.clipping import scope_spans
from raytrace_analyze.trace.scopes import number_scopes

_COUNTS = {
    "spans": pl.len(),
    "tasks": (pl.col("category") == "task").sum(),
    "errors": (pl.col("status") == "ERROR").sum(),
    "in_flight": pl.col("end").is_null().sum(),
}


def jobs(spans: pl.DataFrame, *, clock_correct: bool = True) -> pl.DataFrame:
    """List the jobs of a span table, in order of start.

    Columns: `session`, `job_id` (null: the session's spans that belong to no job), `entrypoint` (the program, where
    the hook recorded it), `start` (UTC), `makespan_ns`, and counts: `tasks` (runs), `spans`, `traces`, `processes`,
    `errors`, `in_flight`. With `clock_correct`, times of hosts whose clocks are proven to be off are shifted first.
    """
    frame, extents = _scoped(spans, "jobs", clock_correct)
    counts = {
        **_COUNTS,
        "traces": pl.col("trace_id").n_unique(),
        "processes": pl.struct(PROCESS).n_unique(),
    }
    found = frame.group_by("scope").agg(
        pl.col("session", "job_id").first(),
        entrypoint=entrypoint(),
        **{name: count.cast(pl.Int64) for name, count in counts.items()},
    )
    return (
        found.join(extents, on="scope")
        .sort("scope")
        .select(
            *("session", "job_id", "entrypoint", "start", "makespan_ns"),
            *("tasks", "spans", "traces", "processes", "errors", "in_flight"),
        )
    )


def traces(spans: pl.DataFrame, *, clock_correct: bool = True) -> pl.DataFrame:
    """List the traces of a span table, in order of start.

    Columns: `trace_id`, `name` (of its first root span), `session`, `job_id` (of its first span), `start` (UTC),
    `makespan_ns`, and counts: `tasks` (runs), `spans`, `errors`, `in_flight`. With `clock_correct`, times of hosts
    whose clocks are proven to be off are shifted first.
    """
    frame, extents = _scoped(spans, "traces", clock_correct)
    is_root = pl.col("parent_id").is_null()
    found = frame.group_by("scope", maintain_order=True).agg(
        pl.col("trace_id", "session", "job_id").first(),
        name=pl.coalesce(pl.col("name").filter(is_root).first(), pl.col("name").first()),
        **{name: count.cast(pl.Int64) for name, count in _COUNTS.items()},
    )
    return (
        found.join(extents, on="scope")
        .sort("scope")
        .select(
            *("trace_id", "name", "session", "job_id", "start", "makespan_ns"),
            *("tasks", "spans", "errors", "in_flight"),
        )
    )


def _scoped(spans: pl.DataFrame, kind: str, clock_correct: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Number each span's scope, and give the scopes' start and makespan as the critical path has them."""
    structure, _ = build_corrected(spans, clock_correct=clock_correct)
    scope_of, keys = number_scopes(structure.spans, kind)
    scoped = scope_spans(structure, scope_of, len(keys))
    roots = slice(scoped.span_count, None)
    extents = pl.DataFrame(
        {
            "scope": np.arange(len(keys), dtype=np.int64),
            "start": pl.Series(scoped.start[roots]).cast(pl.Datetime("ns", "UTC")),
            "makespan_ns": scoped.end[roots] - scoped.start[roots],
        }
    )
    return spans.with_columns(scope=pl.Series(scope_of)), extents
