"""Tasks that are too small, and too many of them at once."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.kinds.asking import find_asking
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.names.functions import OPERATOR_TASKS
from raytrace_analyze.queueing.causes import COLD
from raytrace_analyze.replay.rewrite import scale_spans, shorten_lags
from raytrace_analyze.table.lineage import distinct_rows
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import runs as words

_MANY_SMALL = 50
"""From how many runs on a function's tasks can be too small."""
_SMALL_NS = 20_000_000
_WORTH = 10
"""How many times its overhead a task should run."""
_MANY_PENDING = 1000
_MANY_PER_SLOT = 50


def small_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find functions whose runs are shorter than what it takes to submit and start them."""
    cold = facts.start_waits.ns_for(*COLD)
    # How often something is asked until it is so says nothing about the size of the answers.
    asked = {asking.question for asking in find_asking(facts)}
    for function, all_runs in facts.runs_by_function.items():
        runs = all_runs[facts.structure.submit[all_runs] >= 0]
        if runs.size < _MANY_SMALL or function in asked:
            continue
        submits = distinct_rows(facts.structure.submit[runs])
        ran = float(np.median(facts.end[runs] - facts.start[runs]))
        submitting = float(np.median(facts.end[submits] - facts.start[submits]))
        # A process has to start for larger tasks as well.
        warm = np.maximum(facts.lag_ns[runs] - cold[runs], 0)
        starting = float(np.median(warm))
        overhead = submitting + starting
        if ran >= min(overhead, _SMALL_NS) or runs.size * overhead < facts.floor_ns:
            continue
        batch = int(np.clip(_WORTH * overhead / max(ran, 1), 2, max(runs.size / (2 * (facts.slots or 1)), 2)))
        mended = scale_spans(facts.graph, submits, 1 / batch)
        mended = shorten_lags(mended, runs, (warm * (1 - 1 / batch)).astype(np.int64))
        yield Candidate(
            Pattern.SMALL_TASKS,
            function,
            words.small_tasks(
                function,
                runs.size,
                ran_ns=ran,
                submitting_ns=submitting,
                starting_ns=starting,
                batch=batch,
                of_operator=str(facts.spans.get_column("name")[int(runs[0])]).startswith(OPERATOR_TASKS),
            ),
            mended,
            np.concatenate([runs, submits]),
        )


def pending_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find functions of which very many tasks had been submitted at one time and had not started."""
    slots = facts.slots or 1
    enough = max(_MANY_PENDING, _MANY_PER_SLOT * slots)
    for function, runs in facts.runs_by_function.items():
        first = distinct_rows(facts.run_of_submit[facts.structure.submit[runs[facts.structure.submit[runs] >= 0]]])
        if first.size < enough:
            continue
        started = facts.start[first]
        submitted = np.minimum(facts.end[facts.structure.submit[first]], started)
        times = np.concatenate([started, submitted])
        change = np.repeat([-1, 1], first.size)
        order = np.lexsort((change, times))
        pending = np.cumsum(change[order])
        most = int(pending.max())
        if most < enough:
            continue
        at = times[order][int(np.argmax(pending))]
        yield Candidate(
            Pattern.TOO_MANY_IN_FLIGHT,
            function,
            words.too_many_in_flight(function, most, facts.slots),
            None,
            first[(submitted <= at) & (started > at)],
        )
