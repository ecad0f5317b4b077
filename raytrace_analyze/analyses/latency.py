"""Latency per task: how long runs, submits and queues took, by function or by place."""

from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.choices import choose
from raytrace_analyze.function_names import DRIVER, rays_own_together
from raytrace_analyze.path.all_scopes import some_paths_of
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.outcome import endings, errors
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.sampled.samples import cpu_ns
from raytrace_analyze.shown import notebook
from raytrace_analyze.trace.asof import NEVER
from raytrace_analyze.vocabulary import Ending, LatencyGroup, column_of

QUANTILES = (("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
TIMES = ("run", "queue", "submit")
_OF_ENDING = {"cancelled": Ending.CANCELLED, "killed": Ending.KILLED}
_ENDINGS = ("errors", *_OF_ENDING)
_FIGURES = ("is_run", "is_open", "is_retried", "run_ns", "queue_ns", "submit_ns", "cpu_ns", "cpu_run_ns")


class LatencyStats(pl.DataFrame):
    """What `latency_stats` gives: a DataFrame that can draw itself.

    So can its `head` and `slice`; of what `filter` gives, which is a plain DataFrame, `LatencyStats(frame).plot()`.
    """

    def plot(self) -> Any:  # type: ignore[override] # in place of the plots that polars makes with another library
        """Draw run, queue and submit time from p50 to the maximum: a `Plot`, which a notebook shows.

        Raises UsageError where columns of `latency_stats` by function lack.
        """
        return notebook().plot_latencies(self)


def latency_stats(
    spans: Trace,
    by: str = "function",
    task_events: pl.DataFrame | None = None,
    *,
    clock_correct: bool = True,
    internals: bool = True,
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
    of all jobs.

    A run's queue time is from the end of its submit (of a retry: from the end of the attempt before) to its start,
    at least 0; both are null for spans that nobody submitted. Without `internals`, what Ray's libraries run for
    themselves (controllers, proxies, statistics) is one group by function, `(Ray's own)`. With `clock_correct`, times
    of hosts whose clocks are proven to be off are shifted first. Raises UsageError for any other `by`.
    """
    column = column_of(choose(LatencyGroup, by, "group"))
    trace = prepare(spans, task_events, clock_correct=clock_correct)
    # Of a large table most columns are not asked about, and copies of them take much memory.
    timed = timed_spans(trace).select(*dict.fromkeys((column, "actor_id")), *_FIGURES, **_ended())
    if by != "name":
        timed = timed.filter("is_run")
    attempts = trace.attempts.select(*dict.fromkeys((column, "actor_id")), **_ended())
    if by == "actor":
        timed, attempts = (rows.filter(pl.col("actor_id").is_not_null()) for rows in (timed, attempts))
    on_path = _on_path(trace, column)
    if by == "function" and not internals:
        timed, attempts, on_path = (_folded(rows) for rows in (timed, attempts, on_path))
        on_path = on_path.group_by(column).agg(pl.all().sum())
    without = attempts.group_by(pl.col(column).alias(by)).agg(
        without_span=pl.len().cast(pl.Int64),
        **{f"lost_{name}": pl.col(name).sum().cast(pl.Int64) for name in _ENDINGS},
    )
    quantiles = [
        pl.col(f"{time}_ns").quantile(q, "linear").round().cast(pl.Int64).alias(f"{time}_{name}_ns")
        for time in TIMES
        for name, q in QUANTILES
    ]
    times = [f"{time}_{name}_ns" for time in TIMES for name in ("total", *(name for name, _ in QUANTILES))]
    totals = [pl.col(f"{time}_ns").sum().alias(f"{time}_total_ns") for time in TIMES]
    return LatencyStats(
        timed.group_by(pl.col(column).alias(by))
        .agg(
            *totals,
            *quantiles,
            count=pl.len().cast(pl.Int64),
            **{name: pl.col(name).sum().cast(pl.Int64) for name in _ENDINGS},
            cpu_total_ns=_sum_or_null("cpu_ns"),
            cpu_run_ns=_sum_or_null("cpu_run_ns"),
            retried=pl.col("is_retried").sum().cast(pl.Int64),
            in_flight=pl.col("is_open").sum().cast(pl.Int64),
        )
        .join(without, on=by, how="full", coalesce=True, nulls_equal=True)
        .with_columns(
            pl.col("count", *_ENDINGS, "retried", "in_flight", "without_span").fill_null(0),
            *(pl.col(f"{time}_total_ns").fill_null(0) for time in TIMES),
        )
        .with_columns(pl.col(name) + pl.col(f"lost_{name}").fill_null(0) for name in _ENDINGS)
        .join(on_path, left_on=by, right_on=column, how="left", nulls_equal=True)
        .with_columns(pl.col("path_ns").fill_null(0), pl.col("path_share").fill_null(0.0))
        .sort("run_total_ns", by, descending=[True, False], nulls_last=True)
        .select(
            *(by, "count", *_ENDINGS, "retried", "in_flight", "cpu_total_ns", "cpu_run_ns"),
            *(*times, "path_ns", "path_share", "without_span"),
        )
    )


def _folded(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(function=rays_own_together(pl.col("function")))


def _ended() -> dict[str, pl.Expr]:
    """Tell what gave no result: spans in error of any kind, and of attempts those that were cancelled or killed."""
    of = {name: (endings() == ending).fill_null(value=False) for name, ending in _OF_ENDING.items()}
    return {"errors": errors(), **of}


def _sum_or_null(column: str) -> pl.Expr:
    return pl.when(pl.col(column).is_not_null().any()).then(pl.col(column).sum())


def timed_spans(trace: PreparedTrace) -> pl.DataFrame:
    """Give every span with what it took: `is_run`, `run_ns` (null in flight), and of runs `submit_ns` and `queue_ns`.

    Rows and other columns are those of `trace.spans`, and `is_open`, `is_retried`, `cpu_ns`, `cpu_run_ns`.
    """
    structure = trace.structure
    submit = structure.submit
    ready = np.where(submit >= 0, structure.end[submit], structure.start)
    runs = pl.DataFrame(
        {
            "submit": submit,
            "start": structure.start,
            "end": structure.end,
            "ready": ready,
            "is_run": structure.is_run,
        }
    ).with_columns(has_submit=pl.col("submit") >= 0)
    before, is_first = _attempt_before(trace)
    queue = (pl.col("start") - pl.max_horizontal("ready", before)).clip(lower_bound=0)
    submit_ns = pl.Series(np.where(submit >= 0, structure.end[submit] - structure.start[submit], 0))
    return structure.spans.with_columns(
        runs.select(
            "is_run",
            queue_ns=pl.when("has_submit").then(queue),
            submit_ns=pl.when(pl.col("has_submit") & is_first).then(submit_ns.clip(lower_bound=0)),
        ),
        run_ns=(pl.col("end") - pl.col("start")).dt.total_nanoseconds(),
        is_open=pl.col("end").is_null(),
        is_retried=_is_retried(trace),
        cpu_ns=cpu_ns(structure.spans.get_column("attributes")),
    ).with_columns(cpu_run_ns=pl.when(pl.col("cpu_ns").is_not_null()).then("run_ns"))


def _is_retried(trace: PreparedTrace) -> pl.Series:
    earlier, _ = trace.runs.next_attempts(np.flatnonzero(trace.structure.is_run))
    found = np.zeros(trace.structure.is_run.size, dtype=np.bool_)
    found[earlier] = True
    return pl.Series(found)


def _attempt_before(trace: PreparedTrace) -> tuple[pl.Series, pl.Series]:
    """Give for each run the end of the attempt before it (null: none), and whether it is the first of its submit."""
    structure = trace.structure
    earlier, later = trace.runs.next_attempts(np.flatnonzero(structure.is_run))
    end = np.full(structure.is_run.size, NEVER, dtype=np.int64)
    end[later] = structure.end[earlier]
    is_first = np.ones(structure.is_run.size, dtype=np.bool_)
    is_first[later[structure.submit[later] == structure.submit[earlier]]] = False
    before = pl.Series(end)
    return before.set(before == NEVER, None), pl.Series(is_first)


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
