"""Latency per task of a prepared trace."""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.latency.figures import SAY_HOW_IT_ENDED, add_endings, sum_up
from raytrace_analyze.analyses.latency.result import LatencyStats
from raytrace_analyze.choices import choose
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.path.all_scopes import some_paths_of
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.table.runs.run_times import FIGURES, add_times, cpu_ns
from raytrace_analyze.vocabulary.groups import LatencyGroup, column_of


def latency_stats(
    spans: Trace,
    by: str = "function",
    task_events: pl.DataFrame | None = None,
    *,
    clock_correct: bool = True,
    internals: bool = True,
    path: bool = True,
) -> LatencyStats:
    """Sum up how long tasks took, by `function`, `node`, `worker` or `actor`, or every span by `name`.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one (`task_events`: as version 0.1.0 gave
    them beside the spans). One row a group, the one with the most run time first. Columns: the group; `count` of runs,
    `errors` (those that failed, were cancelled or killed, with a span or without), `cancelled` and `killed` of them,
    `retried` (attempts that another one followed), `in_flight` (runs that never ended: they count, their time does
    not), `without_span` (attempts that only Ray's task events know: killed, never started, queued still; in no other
    figure but the errors); `cpu_total_ns`, the CPU time of those runs of which the hook's sampler tells it, and
    `cpu_run_ns`, how long those ran (both null where it tells of none); for each of `run`, `queue` and `submit` the
    total `*_total_ns` and the quantiles `*_p50_ns`, `*_p90_ns`, `*_p95_ns`, `*_p99_ns`, `*_max_ns` (linear
    interpolation, rounded to whole ns); `path_ns` and `path_share` (0 to 1): what the group has of the critical paths
    of all jobs, null with `path=False`, which takes a third of the time.

    A run's queue time is from the end of its submit (of a retry: from the end of the attempt before) to its start,
    at least 0; both are null for spans that nobody submitted. Without `internals`, what Ray's libraries run for
    themselves (controllers, proxies, statistics) is one group by function, `(Ray's own)`. With `clock_correct`, times
    of hosts whose clocks are proven to be off are shifted first. Raises UsageError for any other `by`.
    """
    column = column_of(choose(LatencyGroup, by, "group"))
    trace = prepare(spans, task_events, clock_correct=clock_correct)
    # Of a large table most columns are not asked about, and copies of them take much memory.
    told = dict.fromkeys((column, "actor_id"))
    timed = add_endings(timed_spans(trace).select(*dict.fromkeys((*told, *SAY_HOW_IT_ENDED)), *FIGURES))
    if by != "name":
        timed = timed.filter("is_run")
    attempts = add_endings(trace.attempts)
    if by == "actor":
        timed, attempts = (rows.filter(pl.col("actor_id").is_not_null()) for rows in (timed, attempts))
    on_path = _on_path(trace, column) if path else None
    return sum_up(timed, attempts, on_path, by=by, column=column, internals=internals)


def timed_spans(trace: PreparedTrace) -> pl.DataFrame:
    """Give every span with what it took: `is_run`, `run_ns` (null in flight), and of runs `submit_ns` and `queue_ns`.

    Rows and other columns are those of `trace.spans`, and `is_open`, `is_retried`, `cpu_ns`, `cpu_run_ns`.
    """
    structure = trace.structure
    submit, spans = structure.submit, structure.spans
    has_submit = pl.Series(submit >= 0)
    rows = spans.select(
        "start",
        "end",
        end_ns=pl.Series(structure.end),
        submit=pl.when(has_submit).then(pl.Series(submit)),
        submit_start=pl.when(has_submit).then(pl.Series(structure.start[submit])),
        submit_end=pl.when(has_submit).then(pl.Series(structure.end[submit])),
        cpu_ns=cpu_ns(spans.get_column("attributes")),
    )
    timed = add_times(rows, *trace.runs.next_attempts(np.flatnonzero(structure.is_run)))
    figures = [name for name in FIGURES if name != "is_run"]
    return spans.with_columns(timed.select(figures), is_run=pl.Series(structure.is_run))


def _on_path(trace: PreparedTrace, column: str) -> pl.DataFrame:
    """Sum what each group has of the critical paths of all jobs, and its share of their makespans."""
    sums = pl.concat(
        segments.with_columns(pl.col("function").replace(DRIVER, None))
        .group_by(column)
        .agg(path_ns=pl.col("duration_ns").sum())
        for segments in some_paths_of(trace, "jobs", PathOptions())
    )
    total = max(int(sums.get_column("path_ns").sum()), 1)
    return sums.group_by(column).agg(pl.col("path_ns").sum()).with_columns(path_share=pl.col("path_ns") / total)
