"""The whole answer about a job: how long, did it fail, where the time went, what to change, how sure that is."""

from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.advice.analysis import Advice, advise_on
from raytrace_analyze.analyses.what_if import best_speedup
from raytrace_analyze.function_names import DRIVER
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.verdict.result import IdlePlace, Remedy, Summary
from raytrace_analyze.verdict.spent import time_spent
from raytrace_analyze.vocabulary import Activity, Category, RemedyKind, Spent

_NOBODY: dict[str, Any] = {"function": None, "total_ns": 0, "share": 0.0}
_MOST_REMEDIES = 2
_WORTH = 0.02
"""What part of the time a remedy saves at least."""
_NOTABLE = 0.05
"""What part of the time an idle place takes at least to be named."""


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
        time=time,
        idle=_idle(segments, path.makespan_ns),
        remedies=tuple(_remedies(read, advice, path)),
        start_up_ns=spent.get(Spent.START_UP, 0),
        start_up_saved_ns=max(cold, default=0),
        inferred_ns=int(segments.filter("inferred").get_column("duration_ns").sum()),
        unknown_ns=spent.get(Spent.RUNNING, 0),
        open_spans=int(np.count_nonzero(trace.structure.in_flight[rows])),
        notes=tuple(dict.fromkeys((*path.notes, *advice.notes))),
    )


def _idle(segments: pl.DataFrame, makespan_ns: int) -> IdlePlace | None:
    found = (
        segments.with_columns(is_wait=pl.col("category") == Category.WAIT)
        .filter((pl.col("activity") == Activity.IDLE) | (pl.col("is_wait") & pl.col("idle_in").is_not_null()))
        .group_by("function", "idle_in", "idle_at", "is_wait")
        .agg(total_ns=pl.col("duration_ns").sum(), times=pl.len())
        .sort("total_ns", "function", "idle_in", "idle_at", descending=[True, False, False, False])
        .head(1)
        .to_dicts()
    )
    if not found or found[0]["total_ns"] < _NOTABLE * makespan_ns:
        return None
    row = found[0]
    place = row["idle_at"] or None
    return IdlePlace(row["function"], row["idle_in"] or "", place, row["total_ns"], row["times"], row["is_wait"])


def _remedies(read: Job, advice: Advice, path: CriticalPath) -> Iterator[Remedy]:
    """Give what `advise` finds, and where that is little the function that `what_if` ranks first."""
    makespan_ns = path.makespan_ns
    patterns = advice.findings.filter(~pl.col("first_run_only"), pl.col("saved_ns") >= max(_WORTH * makespan_ns, 1))
    for row in patterns.head(_MOST_REMEDIES).iter_rows(named=True):
        yield Remedy(
            kind=RemedyKind.PATTERN,
            pattern=row["pattern"],
            function=row["function"],
            place=f"{row['file']}:{row['line']}" if row["file"] else None,
            saved_ns=row["saved_ns"],
            predicted_ns=row["predicted_ns"],
            certain=row["certain"],
        )
    if patterns.height >= _MOST_REMEDIES:
        return
    best = best_speedup(read)
    if best is None or read.makespan_ns - best[1] < max(_WORTH * makespan_ns, 1):
        return
    function, predicted = best
    own = path.activity().filter(pl.col("function") == function)
    total, cpu, idle = own.select(pl.col("self_ns", "cpu_ns", "idle_ns").sum()).row(0)
    if function == DRIVER and 2 * cpu < total:
        return  # what it does is not known, or it is idle: nothing to be made faster
    by_idle = own.sort("idle_there_ns", descending=True, nulls_last=True).to_dicts()
    longest = by_idle[0] if by_idle and 2 * idle >= total > 0 else None
    yield Remedy(
        kind=RemedyKind.SPEEDUP,
        pattern=None,
        function=function,
        place=longest["idle_at"] if longest else None,
        saved_ns=read.makespan_ns - predicted,
        predicted_ns=predicted,
        certain=True,
        idle_in=longest["idle_in"] if longest else None,
    )
