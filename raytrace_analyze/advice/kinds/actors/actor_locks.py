"""Locks that actors keep: calls that take one wait until another call gives it back, or are made until they get it."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.analyses.stuck.held_locks import is_taking
from raytrace_analyze.names import attributes
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.rewrite import shorten_stretches, wait_for_nothing
from raytrace_analyze.sampled.questions import find_answers
from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import actors as words


def actor_lock_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find methods of actors that take a lock, waited for or asked again and again, and who held it meanwhile."""
    yield from _waiting(facts)
    yield from _asking(facts)


def _waiting(facts: Facts) -> Iterator[Candidate]:
    wakers = facts.graph.events.waiting.wakers
    if wakers is None:
        return
    waits = facts.rows[wakers.is_asked[facts.rows]]
    awaited = attributes.told(facts.spans.get_column("attributes").gather(waits), attributes.AWAITED)
    waits = waits[np.array([is_taking(text or "") for text in awaited], dtype=np.bool_)]
    gave_back, _ = wakers.find(waits, facts.start[waits], facts.end[waits])
    waits, gave_back = waits[gave_back >= 0], gave_back[gave_back >= 0]
    caller = facts.relations.structure.run_above[waits]
    names = facts.functions_of(caller)
    for name in np.unique(names).tolist():
        rows, given = waits[names == name], gave_back[names == name]
        took = facts.end[rows] - facts.start[rows]
        if took.max() < facts.floor_ns:
            continue
        holders = _callers(facts, given)
        most = max(sorted(set(holders)), key=holders.count, default=None)
        yield Candidate(
            Pattern.LOCK,
            name,
            words.actor_lock(
                name,
                rows.size,
                took_ns=int(took.sum()),
                longest_ns=int(took.max()),
                holder=most,
                held=0 if most is None else holders.count(most),
                gave_back=facts.functions[int(given[0])],
            ),
            wait_for_nothing(facts.graph, rows),
            rows[np.argsort(-took, kind="stable")],
            facts.sites.get(int(rows[np.argmax(took)])) or None,
            certain=False,
        )


@frozen
class _Tries:
    """The calls with which a flow asked for a lock in vain, and the one that gave the lock back to it."""

    asked: str
    """The method."""
    waits: RowIds
    """For the answers, in order of time."""
    events: RowIds
    """The flow's own, until it asked for the last time."""
    given_back: int
    """A run."""


def _asking(facts: Facts) -> Iterator[Candidate]:
    """Find methods that are called again and again until they give a lock."""
    by_method: dict[str, list[_Tries]] = {}
    for tries in _tries(facts):
        by_method.setdefault(tries.asked, []).append(tries)
    for name, found in by_method.items():
        took = np.array([facts.end[each.waits[-1]] - facts.start[each.waits[0]] for each in found])
        if took.max() < facts.floor_ns:
            continue
        longest = found[int(np.argmax(took))]
        holders = _callers(facts, np.array([each.given_back for each in found]))
        rows = np.concatenate([each.waits for each in found])
        yield Candidate(
            Pattern.LOCK,
            name,
            words.asked_lock(
                name,
                facts.caller(int(longest.waits[0])),
                rows.size,
                took_ns=int(took.sum()),
                longest_ns=int(took.max()),
                holder=max(sorted(set(holders)), key=holders.count, default=None),
                gave_back=facts.functions[longest.given_back],
            ),
            _without_tries(facts.graph, rows, found),
            np.concatenate([longest.waits, np.setdiff1d(rows, longest.waits)]),
            facts.sites.get(int(longest.waits[0])),
            certain=False,
        )


def _tries(facts: Facts) -> Iterator[_Tries]:
    """Give the loops of a flow that ask an actor for what another flow gives back, as this one does afterwards.

    Who meets others at a barrier calls both, too, but says first that it is there, and asks then.
    """
    answers, events = find_answers(facts.structure), facts.graph.events
    inside = np.flatnonzero(events.start_of[answers.answer] >= 0)
    for in_vain, answer, given_back in zip(
        *(column[inside].tolist() for column in (answers.in_vain, answers.answer, answers.changed_by)), strict=True
    ):
        flow, asking = int(events.head[in_vain]), int(facts.ready_runs(answer)[0])
        asks, gives = (_calls(facts, flow, like, given_back) for like in (asking, given_back))
        if not asks.size or not gives.size or facts.start[asks[0]] > facts.start[gives[0]]:
            continue
        if facts.start[gives[-1]] < facts.start[asks[-1]]:
            continue
        gave_before = facts.end[gives[facts.start[gives] < facts.start[in_vain]]].max(initial=0)
        waits = facts.waits_of.get(flow)
        waits = waits[(facts.start[waits] >= gave_before) & (facts.start[waits] <= facts.start[in_vain])]
        of_wait, runs = facts.all_ready_runs(waits)
        waits, submit = of_wait[np.isin(facts.structure.submit[runs], asks)], facts.structure.submit[asking]
        if waits.size:
            between = np.arange(events.start_of[waits[0]] + 1, events.start_of[submit] + 1)
            yield _Tries(facts.functions[asking], waits, between, given_back)


def _calls(facts: Facts, flow: int, like: int, on: int) -> RowIds:
    """Give the submits of a flow, in order, of the method of one run on the actor of another."""
    submits = facts.submits_of.get(flow)
    runs = facts.run_of_submit[submits]
    named = np.array([run >= 0 and facts.functions[run] == facts.functions[like] for run in runs.tolist()], dtype=bool)
    kept: Flags = named & (facts.relations.actor[runs] == facts.relations.actor[on])
    return submits[kept]


def _without_tries(graph: Graph, waits: RowIds, tries: list[_Tries]) -> Graph:
    """Leave out what flows did until they asked for the last time."""
    events = np.concatenate([each.events for each in tries])
    return shorten_stretches(wait_for_nothing(graph, waits), events, graph.fixed[events])


def _callers(facts: Facts, runs: RowIds) -> list[str]:
    """Name the functions that called some runs of an actor's methods, but for those of which nobody knows."""
    submits = facts.relations.structure.submit[runs]
    return [facts.caller(row) for row in submits[submits >= 0].tolist()]
