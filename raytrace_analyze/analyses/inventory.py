"""What is in a span table: its jobs and its traces."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import entrypoint
from raytrace_analyze.path.outcome import errors
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.schema import PROCESS

_COUNTS = {
    "spans": pl.len(),
    "tasks": (pl.col("category") == "task").sum(),
    "errors": errors().sum(),
    "in_flight": pl.col("end").is_null().sum(),
}


def jobs(spans: Trace, *, clock_correct: bool = True) -> pl.DataFrame:
    """List the jobs of a span table, or of what `prepare` made of one, in order of start.

    Columns: `session`, `job_id` (null: the session's spans that belong to no job), `entrypoint` (the program, where the
    hook recorded it), `start` (UTC), `makespan_ns`, and counts: `tasks` (runs), `spans`, `traces`, `processes`,
    `errors`, `in_flight`, `without_span` (attempts that only Ray's task events know; in no other count). With
    `clock_correct`, times of hosts whose clocks are proven to be off are shifted first.
    """
    trace = prepare(spans, clock_correct=clock_correct)
    frame, extents = _scoped(trace, "jobs")
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
        _with_attempts(found.join(extents, on="scope"), trace, ["session", "job_id"])
        .sort("scope")
        .select(
            *("session", "job_id", "entrypoint", "start", "makespan_ns"),
            *("tasks", "spans", "traces", "processes", "errors", "in_flight", "without_span"),
        )
    )


def traces(spans: Trace, *, clock_correct: bool = True) -> pl.DataFrame:
    """List the traces of a span table, or of what `prepare` made of one, in order of start.

    Columns: `trace_id`, `name` (of its first root span), `session`, `job_id` (of its first span), `start` (UTC),
    `makespan_ns`, and counts: `tasks` (runs), `spans`, `errors`, `in_flight`, `without_span` (attempts that only Ray's
    task events know; in no other count). With `clock_correct`, times of hosts
    whose clocks are proven to be off are shifted first.
    """
    trace = prepare(spans, clock_correct=clock_correct)
    frame, extents = _scoped(trace, "traces")
    is_root = pl.col("parent_id").is_null()
    found = frame.group_by("scope", maintain_order=True).agg(
        pl.col("trace_id", "session", "job_id").first(),
        name=pl.coalesce(pl.col("name").filter(is_root).first(), pl.col("name").first()),
        **{name: count.cast(pl.Int64) for name, count in _COUNTS.items()},
    )
    return (
        _with_attempts(found.join(extents, on="scope"), trace, ["trace_id"])
        .sort("scope")
        .select(
            *("trace_id", "name", "session", "job_id", "start", "makespan_ns"),
            *("tasks", "spans", "errors", "in_flight", "without_span"),
        )
    )


def _with_attempts(scopes: pl.DataFrame, trace: PreparedTrace, keys: list[str]) -> pl.DataFrame:
    """Count the attempts of each scope that have no span."""
    counts = trace.attempts.group_by(keys).agg(without_span=pl.len().cast(pl.Int64))
    return scopes.join(counts, on=keys, how="left", nulls_equal=True).with_columns(pl.col("without_span").fill_null(0))


def _scoped(trace: PreparedTrace, kind: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Number each span's scope, and give the scopes' start and makespan as the critical path has them."""
    scopes, scoped = trace.scopes(kind), trace.scoped(kind)
    roots = slice(scoped.span_count, None)
    extents = pl.DataFrame(
        {
            "scope": np.arange(scopes.table.height, dtype=np.int64),
            "start": pl.Series(scoped.start[roots]).cast(pl.Datetime("ns", "UTC")),
            "makespan_ns": scoped.end[roots] - scoped.start[roots],
        }
    )
    return trace.spans.with_columns(scope=pl.Series(scopes.of_row)), extents
