"""Results that are got in the wrong order, or got for nothing."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import FEWEST_ROUNDS, Facts, Loop
from raytrace_analyze.advice.kinds.in_turn.loops import MOST_OF_THEM
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.advice.program.files import first_place
from raytrace_analyze.advice.program.use import Use
from raytrace_analyze.replay.rewrite import depend_on, scale_spans, wait_for_nothing, wait_for_others
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import waits as words

_LOOKED_AT = 100
"""In how many of the longest waits it is counted how many results were ready meanwhile."""
_AS_A_REFERENCE = 2
"""From how many times as long as others a submit is taken to carry a value that a reference would spare it."""


def order_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find loops that get results in the order of their submission while later ones are ready."""
    if not facts.recorded:
        return
    for loops in facts.loops:
        orders = [order for loop in loops if (order := _other_order(facts, loop)) is not None]
        if not orders:
            continue
        waits, runs, in_order = (np.concatenate(each) for each in list(zip(*orders, strict=True))[:3])
        site = facts.sites.get(int(waits[0]))
        function, passed = facts.functions[int(runs[0])], max(order[3] for order in orders)
        yield Candidate(
            Pattern.SUBMISSION_ORDER,
            function,
            words.submission_order(facts.caller(int(waits[0])), function, runs.size, passed, place=first_place(site)),
            wait_for_others(facts.graph, waits, in_order),
            np.concatenate([waits, runs]),
            site,
        )


def _other_order(facts: Facts, loop: Loop) -> tuple[RowIds, RowIds, RowIds, int] | None:
    """Give a loop's waits, the runs that each waited for, those in the order of their ends, and how many were passed.

    None where it does not wait for one result after the other, all submitted before, or none was passed.
    """
    single = np.array([runs.size == 1 for runs in loop.ready])
    if single.sum() < max(FEWEST_ROUNDS, MOST_OF_THEM * loop.waits.size):
        return None
    waits, runs = loop.waits[single], np.concatenate([each for each in loop.ready if each.size == 1])
    submit = facts.structure.submit[runs]
    if (submit < 0).any() or (facts.start[submit] > facts.start[waits[0]]).mean() > 1 - MOST_OF_THEM:
        return None
    in_order = runs[np.argsort(facts.end[runs], kind="stable")]
    # Nobody can wait for what had not ended when the wait had.
    if (facts.end[in_order] > facts.end[waits]).any():
        return None
    blocked = np.flatnonzero(facts.start[waits] < facts.end[runs])
    longest = blocked[np.argsort(facts.start[waits[blocked]] - facts.end[runs[blocked]], kind="stable")][:_LOOKED_AT]
    passed = max((int((facts.end[runs[at + 1 :]] < facts.end[runs[at]]).sum()) for at in longest), default=0)
    return (waits, runs, in_order, passed) if passed else None


def unnecessary_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find results that are got only to be passed on to another task."""
    if not facts.recorded:
        return
    found: dict[str, list[tuple[int, int]]] = {}
    for wait, submit in _handovers(facts):
        if facts.use(wait, submit) is Use.PASSED_ON:
            found.setdefault(facts.sites[wait], []).append((wait, submit))
    for site, pairs in found.items():
        yield _passing_on(facts, site, pairs)


def _handovers(facts: Facts) -> Iterator[tuple[int, int]]:
    """Give the waits that came back with a task's result, each with the submits up to the next one at its place."""
    has_results = np.diff(facts.relations.ready.first) > 0
    is_submit, start = facts.structure.is_submit, facts.start
    waits_of, submits_of = facts.waits_of, facts.submits_of
    first_wait = np.full(facts.graph.events.head.size, np.iinfo(np.int64).max)
    first_wait[waits_of.heads] = start[waits_of.rows[waits_of.first[:-1]]]
    last_submit = start[submits_of.rows[submits_of.first[1:] - 1]]
    for flow in submits_of.heads[last_submit >= first_wait[submits_of.heads]].tolist():
        calls = np.concatenate([waits_of.get(flow), submits_of.get(flow)])
        last_at: dict[str, int] = {}
        for row in calls[np.argsort(start[calls], kind="stable")].tolist():
            site = facts.sites.get(row)
            if site is None:
                continue
            if is_submit[row]:
                yield from ((wait, row) for wait in last_at.values())
            elif has_results[row]:
                last_at[site] = row


def _passing_on(facts: Facts, site: str, pairs: list[tuple[int, int]]) -> Candidate:
    waits = np.unique([wait for wait, _ in pairs])
    runs, results = _takers(facts, pairs)
    fits = (runs >= 0) & (facts.end[results] <= facts.start[runs])
    mended = wait_for_nothing(facts.graph, waits)
    mended = depend_on(mended, runs[fits], results[fits])
    submits = np.unique([submit for _, submit in pairs])
    mended = scale_spans(mended, submits, _without_value(facts, submits))
    function = facts.functions[int(results[0])]
    taker = facts.functions[int(runs[0])] if runs[0] >= 0 else function
    return Candidate(
        Pattern.UNNECESSARY_GET,
        function,
        words.unnecessary_get(facts.caller(int(waits[0])), function, taker, waits.size, place=first_place(site)),
        mended,
        np.concatenate([waits, results, submits]),
        site,
    )


def _takers(facts: Facts, pairs: list[tuple[int, int]]) -> tuple[RowIds, RowIds]:
    """Give the runs that a result is passed on to, each with the run that it comes from.

    What a wait for several came back with goes to as many submits one by one, or else all of it to each.
    """
    submits_of: dict[int, list[int]] = {}
    for wait, submit in pairs:
        submits_of.setdefault(wait, []).append(submit)
    takers: list[tuple[int, int]] = []
    for wait, submits in submits_of.items():
        ready = facts.ready_runs(wait)
        ready = ready[np.argsort(facts.structure.submit[ready], kind="stable")]
        submits.sort(key=lambda submit: facts.start[submit])
        given = ready.tolist()
        each = [[run] for run in given] if len(given) == len(submits) else [given] * len(submits)
        takers += [
            (int(facts.run_of_submit[submit]), run) for submit, runs in zip(submits, each, strict=True) for run in runs
        ]
    runs, results = zip(*takers, strict=True)
    return np.array(runs, dtype=np.int64), np.array(results, dtype=np.int64)


def _without_value(facts: Facts, submits: RowIds) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Give what part of each submit's time is left when it carries no value: that of a usual one, if it is less."""
    took = np.maximum(facts.end[submits] - facts.start[submits], 1)
    others = facts.submits[~np.isin(facts.submits, submits)]
    usual = float(np.median(facts.end[others] - facts.start[others])) if others.size else float(took.min())
    return np.where(took > _AS_A_REFERENCE * usual, np.minimum(usual / took, 1.0), 1.0)
