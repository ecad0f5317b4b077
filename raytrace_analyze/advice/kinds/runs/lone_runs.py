"""What single runs cost: stragglers, and attempts that failed."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.replay.queues.ticks import without_ticks
from raytrace_analyze.replay.rewrite import scale_work, shorten_lags
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.actor_labels import actor_labels
from raytrace_analyze.trace.asof import latest_other, members_at
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import runs as words

_FEWEST = 5
_TIMES_THE_MEDIAN = 2.0
_SPREADS = 3.0
"""How many times the distance between the quartiles a straggler lies above the upper one."""
_NOTABLE = 0.01
"""From what part of the job's time on what a run took too long is looked at, if no smaller saving is asked for."""
_FEW = 0.1
"""What part of a function's runs can be stragglers: more of them are its usual spread."""


_MESSAGE = 120
"""How many characters of an error are told."""


def straggler_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find runs that worked far longer than their function usually does."""
    for function, all_runs in facts.runs_by_function.items():
        # What was cut short says nothing of how long its function usually takes.
        runs = all_runs[~facts.failed[all_runs]]
        if runs.size < _FEWEST:
            continue
        work = facts.work_ns[runs].astype(np.float64)
        lower, median, upper = np.percentile(work, (25, 50, 75))
        late = (work > _TIMES_THE_MEDIAN * median) & (work > upper + _SPREADS * (upper - lower))
        late &= work - median > min(_NOTABLE * facts.job.makespan_ns, facts.floor_ns)
        if not late.any() or late.sum() > max(1, _FEW * runs.size):
            continue
        found = runs[late][np.argsort(-work[late], kind="stable")]
        if not facts.cost_ns(found):
            continue  # beside the path it but takes a slot, as it has to
        worst = float(work.max())
        yield Candidate(
            Pattern.STRAGGLER,
            function,
            words.straggler(
                function,
                runs.size,
                usual_ns=median,
                longest_ns=worst,
                stragglers=found.size,
                only_on_actor=_one_actor(facts, runs, found),
            ),
            scale_work(facts.graph, found, median / facts.work_ns[found]),
            found,
        )


def _one_actor(facts: Facts, runs: RowIds, late: RowIds) -> str | None:
    """Name the actor that all the late runs were on, where a function runs on several; None where there is none."""
    actors = facts.spans.get_column("actor_id")
    where = actors.gather(late).unique()
    if late.size < 2 or where.len() != 1 or where[0] is None or actors.gather(runs).n_unique() < 2:
        return None
    (named,) = actor_labels(facts.spans).filter(pl.col("actor_id") == where[0]).get_column("actor").head(1)
    return str(named)


def retry_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find attempts that failed and were made again."""
    for function, runs in facts.runs_by_function.items():
        lost, next_ones = facts.relations.next_attempts(runs)
        if lost.size == 0:
            continue
        ran = int((facts.end[lost] - facts.start[lost]).sum())
        mended = without_ticks(scale_work(facts.graph, lost, np.zeros(lost.size)), next_ones)
        delay = int(facts.lag_ns[next_ones].sum() + facts.ticked_ns[next_ones].sum())
        if ran + delay < facts.floor_ns:
            continue
        mended = shorten_lags(mended, next_ones, facts.lag_ns[next_ones])
        spans = _each_once(np.column_stack([lost, next_ones]).ravel())
        if _ended_well(facts, lost):  # an actor's creation, again in a new process
            ending = _last_before(facts, next_ones)
            during = facts.functions[ending] if ending is not None else None
            calls, again = _calls_made_again(facts, next_ones)
            mended = shorten_lags(scale_work(mended, calls, np.zeros(calls.size)), again, facts.lag_ns[again])
            lost_ns = int((facts.end[calls] - facts.start[calls]).sum())
            told = words.actor_ended(
                function, lost.size, ran_ns=ran, delay_ns=delay, during=during, calls=calls.size, lost_ns=lost_ns
            )
            ended = [] if ending is None else [ending]
            spans = _each_once(np.concatenate([spans, ended, calls, again]).astype(np.int64))
        else:
            told = words.retries(function, lost.size, ran_ns=ran, delay_ns=delay, message=_message(facts, int(lost[0])))
        yield Candidate(
            Pattern.RETRIES,
            function,
            told,
            mended,
            spans,
        )


def _each_once(rows: RowIds) -> RowIds:
    """Leave out what was there before: what was tried twice failed, and was the next attempt of another one."""
    return rows[np.sort(np.unique(rows, return_index=True)[1])]


def _message(facts: Facts, row: int) -> str:
    """Give the first line of what a run failed with, shortened; empty where it said nothing."""
    lines = (facts.spans.get_column("status_message")[row] or "").strip().splitlines()
    return lines[0][:_MESSAGE].rstrip(": .") if lines else ""


def _last_before(facts: Facts, creations: RowIds) -> int | None:
    """Give the call that ran on the actor, and gave no result, when its process ended before the first of these."""
    relations, first = facts.relations, creations[:1]
    on_actor = relations.on_actor
    last = members_at(on_actor, latest_other(on_actor, relations.actor[first], facts.start[first], first))
    row = int(last[0])
    return row if row >= 0 and facts.failed[row] and not relations.is_creation[row] else None


def _calls_made_again(facts: Facts, creations: RowIds) -> tuple[RowIds, RowIds]:
    """Give the calls that were lost on actors which were created again so, and those made in their place."""
    actors, of_run = facts.relations.actor[creations], facts.relations.actor[facts.runs]
    calls = facts.runs[np.isin(of_run, actors) & ~facts.relations.is_creation[facts.runs]]
    return facts.relations.next_attempts(calls)


def _ended_well(facts: Facts, attempts: RowIds) -> bool:
    """Tell whether none of these attempts failed itself, so that something after them made them be run again."""
    ended = facts.spans.select("end", "status")[attempts]
    return ended.get_column("end").null_count() == 0 and not (ended.get_column("status") == "ERROR").any()
