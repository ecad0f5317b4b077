"""Coroutines or threads side by side that wait for a task each: a semaphore or pool that lets too few of them go on."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import FEWEST_ROUNDS, Facts
from raytrace_analyze.advice.kinds.in_turn.loops import MOST_OF_THEM
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.advice.program.files import first_place
from raytrace_analyze.advice.program.use import Use
from raytrace_analyze.replay.rewrite import submit_earlier
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import waits as words

_FEWEST_SIDE_BY_SIDE = 2


def throttle_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find places where waits side by side keep as many tasks in flight as they are, fewer than there are slots."""
    if not facts.recorded or facts.slots is None:
        return
    for place, waits in _beside(facts).items():
        of_wait, runs = facts.all_ready_runs(waits)
        submits = facts.structure.submit[runs]
        # One wait for one task each, submitted in the same flow.
        if (
            of_wait.size != waits.size
            or (of_wait != waits).any()
            or (submits < 0).any()
            or submits.size < FEWEST_ROUNDS
        ):
            continue
        if (facts.relations.actor[runs] >= 0).any() or np.unique(submits).size < submits.size:
            continue
        if (found := _throttled(facts, place[1], waits, submits)) is not None:
            yield found


def _beside(facts: Facts) -> dict[tuple[int, str], RowIds]:
    """Give by the span they stand in, and their place, the waits that are flows of their own, in order of start."""
    head, parent = facts.graph.events.head, facts.graph.events.scoped.parent
    waits = facts.own_waits[head[facts.own_waits] == facts.own_waits]
    found: dict[tuple[int, str], list[int]] = {}
    for wait, above in zip(waits.tolist(), parent[waits].tolist(), strict=True):
        if wait in facts.sites and above >= 0:
            found.setdefault((above, facts.sites[wait]), []).append(wait)
    return {place: np.array(rows) for place, rows in found.items() if len(rows) >= FEWEST_ROUNDS}


def _throttled(facts: Facts, site: str, waits: RowIds, submits: RowIds) -> Candidate | None:
    """Say of waits, and the submits of what they wait for, that few are in flight; None where that is not so."""
    submits = submits[np.argsort(facts.start[submits], kind="stable")]
    begun, over = facts.start[submits], np.sort(facts.end[waits])
    back = np.searchsorted(over, begun, side="right")
    refills = back > 0
    in_flight = (np.arange(1, submits.size + 1) - back)[refills]
    if in_flight.size < FEWEST_ROUNDS:
        return None
    cap, slots = int(np.bincount(np.maximum(in_flight, 0)).argmax()), facts.slots or 0
    if not _FEWEST_SIDE_BY_SIDE <= cap < slots or (in_flight == cap).mean() < MOST_OF_THEM:
        return None
    refilled = submits[refills]
    if any(facts.use(int(waits[0]), int(submit)) in (Use.NEEDED, Use.PASSED_ON) for submit in refilled[:FEWEST_ROUNDS]):
        return None
    events = facts.graph.events
    ends = events.end_of[waits[np.argsort(facts.end[waits], kind="stable")]]
    # With more in flight, each is submitted as many waits sooner.
    sooner = back[refills] - 1 - (slots - cap)
    fill = events.end_of[submits[~refills][-1]] if not refills.all() else events.start_of[submits[0]]
    anchors = np.where(sooner >= 0, ends[np.maximum(sooner, 0)], fill)
    runs = facts.run_of_submit[submits]
    function, caller = facts.functions[int(runs[0])], facts.caller(int(waits[0]))
    return Candidate(
        Pattern.TOO_FEW_IN_FLIGHT,
        function,
        words.too_few_in_flight(caller, function, cap, slots, place=first_place(site), on_actors=False),
        submit_earlier(facts.graph, refilled, anchors),
        np.concatenate([waits, runs[runs >= 0]]),
        site,
        # What limits them may be meant to.
        certain=False,
    )
