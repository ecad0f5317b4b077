"""Chooses what to export: a job, a trace, a stretch of time, what took long, what is on the critical path."""

import polars as pl

from raytrace_analyze.errors import NoSpansError
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.trace.scopes import find_job, find_trace, number_scopes

NOTHING_LEFT = "no span is left to export: the filters leave none"


def select(
    spans: Trace,
    *,
    job: str | None = None,
    trace: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    min_duration_ns: int = 0,
    on_path: bool = False,
    clock_correct: bool = True,
) -> Selection:
    """Choose spans of a span table (columns of `schema.TABLE`); all filters hold at once.

    `job` and `trace` as in `critical_path`. Of the spans that touch the time from `from_ns` to `to_ns` (ns since the
    epoch) those stay that took `min_duration_ns` or more; one in flight counts as long. `on_path`: only what is on
    the critical path, which is that of the trace, of the job, or else of the longest job. Attempts without a span are
    left out, and clocks that are proven to be off are corrected, as in `critical_path`.

    Raises UsageError for a scope that is unknown or ambiguous, NoSpansError where nothing is left.
    """
    prepared = prepare(spans, clock_correct=clock_correct)
    path = critical_path(prepared, job=None if trace else job, trace=trace)
    chosen = prepared.spans
    for wanted, kind, find in ((job, "jobs", find_job), (trace, "traces", find_trace)):
        if wanted is not None:
            scope_of, keys = number_scopes(chosen, kind)
            chosen = chosen.filter(pl.Series(scope_of) == find(keys, wanted))
    chosen = touching(chosen, from_ns, to_ns, min_duration_ns)
    if on_path:
        chosen = chosen.join(path.segments.select("trace_id", "span_id"), on=["trace_id", "span_id"], how="semi")
    if chosen.is_empty():
        raise NoSpansError(NOTHING_LEFT)
    chosen = nested_first(chosen, "start")
    return Selection.of(chosen, path.segments, path.scope.name or path.scope.id)


def nested_first(spans: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Sort spans by these columns and by when they end: of those that start together, the longest comes first."""
    return spans.sort(*by, "end", descending=[*(False for _ in by), True], nulls_last=False, maintain_order=True)


def touching(spans: pl.DataFrame, from_ns: int | None, to_ns: int | None, min_duration_ns: int) -> pl.DataFrame:
    """Give the spans that touch a stretch of time and took long enough; one in flight counts as long."""
    start, end = pl.col("start").to_physical(), pl.col("end").to_physical()
    if from_ns is not None:
        spans = spans.filter((end >= from_ns).fill_null(True))
    if to_ns is not None:
        spans = spans.filter(start < to_ns)
    if min_duration_ns:
        spans = spans.filter((end - start >= min_duration_ns).fill_null(True))
    return spans
