"""What single runs cost: stragglers, and attempts that failed."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate, Pattern
from raytrace_analyze.advice.words import times_text
from raytrace_analyze.function_names import name_of
from raytrace_analyze.replay.rewrite import scale_work, shorten_lags
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.actor_labels import actor_labels
from raytrace_analyze.trace.asof import latest_other, members_at
from raytrace_analyze.units import duration_text

_FEWEST = 5
_TIMES_THE_MEDIAN = 2.0
_SPREADS = 3.0
"""How many times the distance between the quartiles a straggler lies above the upper one."""
_NOTABLE = 0.01
"""From what part of the job's time on what a run took too long is looked at."""
_FEW = 0.1
"""What part of a function's runs can be stragglers: more of them are its usual spread."""


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
        late &= work - median > _NOTABLE * facts.job.makespan_ns
        if not late.any() or late.sum() > max(1, _FEW * runs.size):
            continue
        found = runs[late][np.argsort(-work[late], kind="stable")]
        if not facts.cost_ns(found):
            continue  # beside the path it but takes a slot, as it has to
        worst = float(work.max())
        others = f", and {late.sum() - 1:,} more took far longer" if late.sum() > 1 else ""
        yield Candidate(
            Pattern.STRAGGLER,
            function,
            f"{name_of(function)} usually works {duration_text(median)}, but one run of {runs.size:,} took "
            f"{duration_text(worst)}{others}{_on_one_actor(facts, runs, found)}",
            "look at what that run was given: split what is larger than the rest into parts of its own, or submit it "
            "first",
            scale_work(facts.graph, found, median / facts.work_ns[found]),
            found,
        )


def _on_one_actor(facts: Facts, runs: RowIds, late: RowIds) -> str:
    """Say on which actor all the late runs were, where a function runs on several."""
    actors = facts.spans.get_column("actor_id")
    where = actors.gather(late).unique()
    if late.size < 2 or where.len() != 1 or where[0] is None or actors.gather(runs).n_unique() < 2:
        return ""
    (named,) = actor_labels(facts.spans).filter(pl.col("actor_id") == where[0]).get_column("actor").head(1)
    return f", all on {named}"


def retry_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find attempts that failed and were made again."""
    for function, runs in facts.runs_by_function.items():
        lost, next_ones = facts.relations.next_attempts(runs)
        if lost.size == 0:
            continue
        ran = int((facts.end[lost] - facts.start[lost]).sum())
        delay = int(facts.lag_ns[next_ones].sum())
        if ran + delay < facts.floor_ns:
            continue
        mended = shorten_lags(scale_work(facts.graph, lost, np.zeros(lost.size)), next_ones, facts.lag_ns[next_ones])
        message = facts.spans.get_column("status_message")[int(lost[0])]
        spans = np.concatenate([lost, next_ones])
        reason = f": {message.strip().splitlines()[0][:120].rstrip(': .')}" if message and message.strip() else ""
        if _ended_well(facts, lost):  # an actor's creation, again in a new process
            again = f"{name_of(function)} ran again {times_text(lost.size)}"
            before = f"it had run {duration_text(ran)} before, and the next ones waited {duration_text(delay)}"
            ending = _last_before(facts, next_ones)
            during = f" while {name_of(facts.functions[ending])} ran" if ending is not None else ""
            what = f"the process of the actor ended{during}, and {again}; {before}"
            remedy = (
                "mend what ends the process: look at what that call does"
                if during
                else "mend what ends the process: look at what failed on that actor just before"
            )
            spans = np.concatenate([spans, [] if ending is None else [ending]]).astype(np.int64)
        else:
            again = f"failed and was tried again {times_text(lost.size)}{reason}"
            lasted = f"ran {duration_text(ran)}, and the next ones waited {duration_text(delay)}"
            what = f"{name_of(function)} {again}; the attempts that failed {lasted}"
            remedy = "mend what fails; if it is memory, give the task more of it or run fewer at a time"
        yield Candidate(
            Pattern.RETRIES,
            function,
            what,
            remedy,
            mended,
            spans,
        )


def _last_before(facts: Facts, creations: RowIds) -> int | None:
    """Give the call that ran on the actor, and gave no result, when its process ended before the first of these."""
    relations, first = facts.relations, creations[:1]
    on_actor = relations.on_actor
    last = members_at(on_actor, latest_other(on_actor, relations.actor[first], facts.start[first], first))
    row = int(last[0])
    return row if row >= 0 and facts.failed[row] and not relations.is_creation[row] else None


def _ended_well(facts: Facts, attempts: RowIds) -> bool:
    """Tell whether none of these attempts failed itself, so that something after them made them be run again."""
    ended = facts.spans.select("end", "status")[attempts]
    return ended.get_column("end").null_count() == 0 and not (ended.get_column("status") == "ERROR").any()
