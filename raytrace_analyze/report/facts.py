"""Everything that the page shows of one job, asked of the analyses; the page works out nothing itself."""

import polars as pl

from raytrace_analyze.advice.analysis import Advice, advise_on
from raytrace_analyze.analyses.cluster_use import ClusterUse, use_of
from raytrace_analyze.analyses.latency import latency_stats, timed_spans
from raytrace_analyze.analyses.libraries.data.table import data
from raytrace_analyze.analyses.path_stacks import path_stacks
from raytrace_analyze.analyses.queue_causes import queue_causes
from raytrace_analyze.analyses.stuck.hang import Hang, hang
from raytrace_analyze.analyses.what_if import WhatIf, rank
from raytrace_analyze.ingest.report import IngestReport
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.replay.job import read_job
from raytrace_analyze.trace.scopes import ScopeKey
from raytrace_analyze.values import frozen
from raytrace_analyze.verdict.result import Summary
from raytrace_analyze.verdict.summary import sum_up

MOST_REPLAYED = 200_000
"""Up to how many spans what-if and advice are worked out for the page: they replay the job many times."""


@frozen
class ReportFacts:
    """What is known of a job."""

    trace: PreparedTrace
    """The whole table that the job is from."""
    path: CriticalPath
    stacks: pl.DataFrame
    """Columns of `path_stacks.STACK_NODES`."""
    use: ClusterUse
    stats: pl.DataFrame
    """What `latency_stats` gives, of this job."""
    queues: pl.DataFrame
    """Columns of `QUEUE_CAUSES`, of this job."""
    timed: pl.DataFrame
    """The job's spans: columns of `schema.TABLE`, and `row` in `trace.spans`, `is_run`, `run_ns`, `queue_ns`,
    `submit_ns`."""
    attempts: pl.DataFrame
    """The job's attempts without a span: columns of `schema.TABLE`."""
    summary: Summary | None
    """None, as `advice` and `ranking` are, where the job is too large to be replayed again and again."""
    advice: Advice | None
    ranking: WhatIf | None
    operators: pl.DataFrame
    """What Ray Data's operators did: columns of `data.OPERATORS`."""
    hang: Hang | None
    """None where every span of the job has ended, and nobody stopped it from outside."""
    ingest: IngestReport | None
    """What was met on the way to the table; None where it did not come from files."""


def gather(spans: Trace, job: str | None = None, ingest: IngestReport | None = None) -> ReportFacts:
    """Ask the analyses about a job, by default the one that took longest.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one. Raises NoSpansError for an empty
    table, UsageError for a job that is unknown or ambiguous.
    """
    trace = prepare(spans).require_spans()
    read = read_job(trace, job, PathOptions(), trust_cluster=True)
    scopes, number = trace.scopes("jobs"), read.graph.events.root - trace.spans.height
    key = scopes.keys[number]
    inside = pl.Series(scopes.of_row == number)
    named = _as_named(key, len(scopes.keys))
    path = critical_path(trace, job=named)
    timed = timed_spans(trace).with_row_index("row").filter(inside)
    alone = trace if inside.all() else _of_job(trace, timed)
    is_small = int(inside.sum()) <= MOST_REPLAYED
    advice = advise_on(read) if is_small else None
    is_stuck = timed.get_column("end").null_count() > 0 or path.ended.was_interrupted
    return ReportFacts(
        trace=trace,
        path=path,
        stacks=path_stacks(path),
        use=use_of(read),
        stats=latency_stats(alone, internals=False),
        queues=queue_causes(trace).join(timed.select("trace_id", "span_id"), on=["trace_id", "span_id"], how="semi"),
        timed=timed,
        attempts=_attempts(trace, timed),
        summary=None if advice is None else sum_up(trace, path, read, advice),
        advice=advice,
        ranking=rank(read, path) if is_small else None,
        operators=data(alone),
        hang=hang(trace, named) if is_stuck and named is not None else hang(trace) if is_stuck else None,
        ingest=ingest,
    )


def _as_named(key: ScopeKey, jobs: int) -> str | None:
    """Name a job so that it alone is meant; None where there is no other."""
    return None if jobs == 1 else key.chosen_by


def _attempts(trace: PreparedTrace, timed: pl.DataFrame) -> pl.DataFrame:
    keys = timed.select("session", "job_id").unique()
    return trace.attempts.join(keys, on=["session", "job_id"], how="semi", nulls_equal=True)


def _of_job(trace: PreparedTrace, timed: pl.DataFrame) -> PreparedTrace:
    """The trace without the other jobs; clocks stay as they were corrected."""
    keys = timed.select("session", "job_id").unique()
    corrected = pl.concat([trace.spans, trace.attempts], how="diagonal_relaxed")
    return PreparedTrace(
        corrected.join(keys, on=["session", "job_id"], how="semi", nulls_equal=True, maintain_order="left"),
        clock_correct=False,
    )
