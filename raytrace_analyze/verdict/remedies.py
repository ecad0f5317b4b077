"""What to change about a job: the patterns that `advise` finds, and the function that `what_if` ranks first."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import polars as pl

from raytrace_analyze.advice.analysis import AT_LEAST, Advice, advise_on
from raytrace_analyze.analyses.what_if import best_speedup
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.replay.change import slept_by_function
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.verdict.result import Remedy
from raytrace_analyze.vocabulary.advice import Pattern, RemedyKind
from raytrace_analyze.wording.phrases import at_line

_MOST_REMEDIES = 2
_WORTH = 0.02
"""What part of the time a remedy saves at least."""
_CLEARLY = 1.2
"""So many times what a pattern saves is clearly more than that."""
_FAR_MORE = 5
"""So many times what is known to be saved has to be on the path of what is to be looked at for that to come first."""
_NOTABLE = 0.05
"""What part of the time what is to be looked at takes at least to be named."""

_OF_REQUESTS = [
    *(Pattern.BLOCKED_LOOP, Pattern.REPLICA_QUEUE, Pattern.BATCH_WAIT, Pattern.MODEL_LOADS),
    Pattern.SLOW_REPLICA,
]
_BESIDE = [*_OF_REQUESTS, Pattern.ASKS_AGAIN]
"""What is to be looked at also where something else would save time."""


def advice_and_faster(
    spans: Trace,
    job: str | None = None,
    *,
    at_least: float = AT_LEAST,
    infer: bool = True,
    had_slots: int | None = None,
    clock_correct: bool = True,
    source: Sequence[str | PathLike[str]] = (),
) -> tuple[Advice, Remedy | None]:
    """Do what `give_advice` does; where a faster function comes first for `summary`, tell of that.

    Raises NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous.
    """
    trace = prepare(spans, clock_correct=clock_correct)
    options = PathOptions(infer=infer)
    read = read_job(trace, job, options, had_slots=had_slots, trust_cluster=True)
    advice = advise_on(read, at_least=at_least, had_slots=had_slots, source=source)
    first = next(iter(remedies_of(read, advice, critical_path(trace, job=job, options=options))), None)
    return advice, first if first is not None and first.kind is RemedyKind.SPEEDUP else None


def _worth_ns(path: CriticalPath) -> int:
    return max(int(_WORTH * path.makespan_ns), 1)


def remedies_of(read: Job, advice: Advice, path: CriticalPath) -> list[Remedy]:
    """Give what `advise` finds, and the function that `what_if` ranks first where that saves more than the second.

    That comes first where it saves clearly more than what a pattern tells does, which says better what to do. Where
    there is room for it, what is to be looked at about requests, too: their clients wait, which no saving tells. What
    takes far more of the time than is known to be saved by anything is to be looked at first.
    """
    worth_ns = _worth_ns(path)
    patterns = advice.findings.filter(~pl.col("first_run_only"), pl.col("saved_ns") >= worth_ns).head(_MOST_REMEDIES)
    found = [_pattern(row) for row in patterns.iter_rows(named=True)]
    more_than = found[-1].saved_ns if len(found) == _MOST_REMEDIES else worth_ns - 1
    # That the driver's own code is on the CPU is said of it already.
    of_driver = [each.function for each in found[: _MOST_REMEDIES - 1] if each.pattern == Pattern.DRIVER_CODE]
    fastest = faster(read, path, more_than, without=of_driver)
    remedies = found if fastest is None else [*found[: _MOST_REMEDIES - 1], fastest]
    if fastest is not None and fastest.saved_ns > _CLEARLY * remedies[0].saved_ns:
        remedies = [fastest, *remedies[:-1]]
    look = next(_to_look_at(advice, int(_NOTABLE * path.makespan_ns)), None)
    if look is None:
        return remedies
    most_ns = max((remedy.saved_ns for remedy in remedies), default=0)
    # Of a driver that nobody looked at it is not even known that it works.
    if look.pattern != Pattern.DRIVER_CODE and (look.path_ns or 0) > _FAR_MORE * most_ns:
        return [look, *remedies][:_MOST_REMEDIES]
    return [*remedies, *([look] if look.pattern in _BESIDE else [])][:_MOST_REMEDIES]


def _pattern(row: dict[str, Any]) -> Remedy:
    return Remedy(
        kind=RemedyKind.PATTERN,
        pattern=row["pattern"],
        function=row["function"],
        place=at_line(row["file"], row["line"]) if row["file"] else None,
        saved_ns=row["saved_ns"],
        predicted_ns=row["predicted_ns"],
        certain=row["certain"],
    )


def _to_look_at(advice: Advice, least_ns: int) -> Iterator[Remedy]:
    """Give the finding with most of the path, of those that would save time, nobody knows how much.

    One of requests comes before: who waits for these no span tells, such as a driver that is idle meanwhile.
    """
    of_time = ~pl.col("first_run_only") & (pl.col("pattern") != Pattern.TOO_MANY_IN_FLIGHT) & (pl.col("saved_ns") == 0)
    of_requests, beside = (pl.col("pattern").is_in(each) for each in (_OF_REQUESTS, _BESIDE))
    found = advice.findings.filter(of_time, of_requests | (pl.col("cost_ns") >= least_ns))
    first = found.sort(of_requests, beside, "cost_ns", descending=True, maintain_order=True).head(1)
    for row in first.iter_rows(named=True):
        yield replace(_pattern(row), kind=RemedyKind.LOOK, path_ns=row["cost_ns"], certain=False)


def faster(read: Job, path: CriticalPath, more_than_ns: int, *, without: Sequence[str] = ()) -> Remedy | None:
    """Give the function that is worth most twice as fast; None where that saves no more than so much.

    A driver that is not known to work is not asked about, nor are those `without` which others are looked for.
    """
    best = best_speedup(read, more_than_ns, without=without if path.driver_works else (*without, DRIVER))
    if best is None:
        return None
    function, predicted = best
    own = path.activity().filter(pl.col("function") == function)
    total, idle = own.select(pl.col("self_ns", "idle_ns").sum()).row(0)
    by_idle = own.sort("idle_there_ns", descending=True, nulls_last=True).to_dicts()
    # Where it mostly sleeps until something is there, that place is none that a faster one leaves sooner.
    work = 2 * idle >= total > 0 and 2 * slept_by_function(read.graph)[function] < idle
    longest = by_idle[0] if by_idle and work else None
    return Remedy(
        kind=RemedyKind.SPEEDUP,
        pattern=None,
        function=function,
        place=longest["idle_at"] if longest else None,
        saved_ns=read.makespan_ns - predicted,
        predicted_ns=predicted,
        certain=True,
        idle_in=longest["idle_in"] if longest else None,
    )
