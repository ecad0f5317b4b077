"""Locks that actors keep: calls that take one wait until another call gives it back."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze import attributes
from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.analyses.held_locks import is_taking
from raytrace_analyze.replay.rewrite import wait_for_nothing
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.vocabulary import Pattern
from raytrace_analyze.wording.advice import actors as words


def actor_lock_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find methods of actors that wait for a lock, and who held it meanwhile."""
    wakers = facts.graph.events.waiting.wakers
    if wakers is None:
        return
    waits = facts.rows[wakers.is_asked[facts.rows]]
    awaited = attributes.told(facts.spans.get_column("attributes").gather(waits), attributes.AWAITED)
    waits = waits[np.array([is_taking(text or "") for text in awaited], dtype=np.bool_)]
    gave_back, _ = wakers.find(waits, facts.start[waits], facts.end[waits])
    waits, gave_back = waits[gave_back >= 0], gave_back[gave_back >= 0]
    caller = facts.relations.structure.run_above[waits]
    names = np.array([facts.functions[row] for row in caller.tolist()], dtype=np.str_)
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


def _callers(facts: Facts, runs: RowIds) -> list[str]:
    """Name the functions that called some runs of an actor's methods, but for those of which nobody knows."""
    submits = facts.relations.structure.submit[runs]
    return [facts.caller(row) for row in submits[submits >= 0].tolist()]
