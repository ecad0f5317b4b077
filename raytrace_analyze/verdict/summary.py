"""The whole answer about a job: how long, did it fail, where the time went, what to change, how sure that is."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.advice.analysis import Advice, advise_on
from raytrace_analyze.analyses.libraries.used import libraries_used
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.queueing.causes import is_cold
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.verdict.remedies import remedies_of
from raytrace_analyze.verdict.result import IdlePlace, Summary
from raytrace_analyze.verdict.served import requests_of
from raytrace_analyze.verdict.spent import time_spent
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.paths import Activity, Category, Spent
from raytrace_analyze.vocabulary.spans import Library

_NOBODY: dict[str, Any] = {"function": None, "total_ns": 0, "share": 0.0}
_EVERY_RUN = (Pattern.PROCESS_PER_RUN, Pattern.LARGE_CODE)
"""What of start-up is no first run's alone."""
_NOTABLE = 0.05
"""What part of the time an idle place takes at least to be named."""
_MOST = 0.5
"""More than this part of a function's time is most of it."""


def summary(
    spans: Trace,
    job: str | None = None,
    *,
    infer: bool = True,
    had_slots: int | None = None,
    clock_correct: bool = True,
    source: Sequence[str | PathLike[str]] = (),
) -> Summary:
    """Sum up a job: what `critical_path`, `advise` and `what_if` say of it, in one value.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one, and a job (`ID` or `SESSION/ID`), by
    default the one that took longest. The options are those of `advise`.

    Raises NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous.
    """
    trace = prepare(spans, clock_correct=clock_correct)
    path = critical_path(trace, job=job, options=PathOptions(infer=infer))
    read = read_job(trace, job, PathOptions(infer=infer), had_slots=had_slots, trust_cluster=True)
    advice = advise_on(read, had_slots=had_slots, source=source)
    return sum_up(trace, path, read, advice)


def sum_up(trace: PreparedTrace, path: CriticalPath, read: Job, advice: Advice) -> Summary:
    """Put together what was found of one job."""
    segments = path.segments
    first: dict[str, Any] = next(path.by("function").iter_rows(named=True), _NOBODY)
    time = time_spent(segments, path.makespan_ns)
    spent = dict(time.select("spent_on", "total_ns").iter_rows())
    cold: list[int] = advice.findings.filter("first_run_only").get_column("saved_ns").to_list()
    rows = read.graph.events.rows[:-1]
    again = trace.spans.select("span_id", "attempt")[rows].filter(pl.col("attempt") > 0).get_column("span_id")
    libraries = libraries_used(trace.spans.select("name", "function")[rows])
    return Summary(
        scope=path.scope,
        start_ns=path.start_ns,
        makespan_ns=path.makespan_ns,
        ended=path.ended,
        runs=path.runs,
        parallelism=path.parallelism,
        decided_by=first["function"],
        decided_ns=first["total_ns"],
        decided_share=first["share"],
        decided_mostly=_mostly(segments.filter(pl.col("function").eq_missing(pl.lit(first["function"], pl.String)))),
        time=time,
        idle=_idle(segments, path.makespan_ns),
        remedies=tuple(remedies_of(read, advice, path)),
        start_up_ns=spent.get(Spent.START_UP, 0) - _paid_again(segments, advice, again),
        start_up_saved_ns=max(cold, default=0),
        inferred_ns=int(segments.filter("inferred").get_column("duration_ns").sum()),
        unknown_ns=spent.get(Spent.RUNNING, 0),
        open_spans=int(np.count_nonzero(trace.structure.in_flight[rows])),
        libraries=libraries,
        requests=requests_of(trace, read.scope.session) if Library.SERVE in libraries else None,
        notes=tuple(dict.fromkeys((*path.notes, *advice.notes))),
    )


def _paid_again(segments: pl.DataFrame, advice: Advice, other_attempts: pl.Series) -> int:
    """Sum what of the start-up on the path (ns) no first run alone pays; attempts that are not the first are given."""
    found = advice.findings.filter(pl.col("pattern").is_in(_EVERY_RUN)).get_column("span_ids").explode()
    again = segments.filter(is_cold(), pl.col("span_id").is_in(pl.concat([found, other_attempts]).implode()))
    return int(again.get_column("duration_ns").sum())


def _mostly(segments: pl.DataFrame) -> str | None:
    most = time_spent(segments, int(segments.get_column("duration_ns").sum())).filter(pl.col("share") > _MOST).head(1)
    return most.get_column("spent_on").item() if most.height else None


def _idle(segments: pl.DataFrame, makespan_ns: int) -> IdlePlace | None:
    found = (
        segments.with_columns(is_wait=pl.col("category") == Category.WAIT)
        .with_columns(idle_in=pl.when("is_wait").then(pl.coalesce("idle_in", "name")).otherwise("idle_in"))
        .filter((pl.col("activity") == Activity.IDLE) | pl.col("is_wait"))
        .group_by("function", "idle_in", "idle_at", "is_wait")
        .agg(total_ns=pl.col("duration_ns").sum(), times=pl.col("span_id").n_unique().cast(pl.Int64))
        .sort("total_ns", "function", "idle_in", "idle_at", descending=[True, False, False, False])
        .head(1)
        .to_dicts()
    )
    if not found or found[0]["total_ns"] < _NOTABLE * makespan_ns:
        return None
    row = found[0]
    place, is_wait = row["idle_at"] or None, row["is_wait"]
    times = row["times"] if is_wait else None
    return IdlePlace(row["function"], row["idle_in"] or "", place, row["total_ns"], times, is_wait)
