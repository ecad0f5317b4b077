"""Other jobs of the same cluster, that had the slots, or the actors, for which tasks waited."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.replay.rewrite import shorten_lags
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.busy_time import covered_within
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording.advice import runs as words

_OF_SLOTS = (Cause.NO_SLOT, Cause.SLOT_START)


def other_job_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find runs that waited while runs of other jobs had what they waited for: slots of a node, or an actor."""
    structure, relations = facts.structure, facts.relations
    others = np.flatnonzero(structure.is_run & (facts.graph.events.start_of[: facts.spans.height] < 0))
    others = others[~structure.rays_own[others]]
    of_actors = relations.actor[others] >= 0
    places = ((_OF_SLOTS, facts.rules.about.node, ~of_actors), ((Cause.ACTOR_BUSY,), relations.actor, of_actors))
    for causes, place, chosen in places:
        run, since, until = facts.start_waits.pieces_for(*causes)
        there = others[chosen & np.isin(place[others], place[run]) & (place[others] >= 0)]
        if run.size and there.size:
            yield from _candidates(facts, run, since, until, place, there, of_actor=Cause.ACTOR_BUSY in causes)


def _candidates(
    facts: Facts, run: RowIds, since: Nanos, until: Nanos, place: RowIds, others: RowIds, *, of_actor: bool
) -> Iterator[Candidate]:
    begun = facts.start[others] if of_actor else facts.rules.about.held_from[others]
    over = np.maximum(facts.relations.held_until[others], begun)
    waited = np.zeros(facts.spans.height, dtype=np.int64)
    kept = np.zeros(others.size, dtype=np.int64)
    for each in np.unique(place[others]).tolist():
        here, waiting = np.flatnonzero(place[others] == each), np.flatnonzero(place[run] == each)
        np.add.at(waited, run[waiting], covered_within(begun[here], over[here], since[waiting], until[waiting]))
        kept[here] = covered_within(since[waiting], until[waiting], begun[here], over[here])
    rows = np.flatnonzero(waited)
    if rows.size == 0:
        return
    rows = rows[np.argsort(-waited[rows], kind="stable")]
    names, number = np.unique(facts.functions_of(others), return_inverse=True)
    most = int(np.argmax(np.bincount(number, kept)))
    other = int(others[np.argmax(np.where(number == most, kept, -1))])
    job, session = facts.spans.select("job_id", "session").row(other)
    function = facts.functions[int(rows[0])]
    told = words.behind_other_jobs(
        function, rows.size, waited[rows].tolist(), str(names[most]), job or session or "-", of_actor=of_actor
    )
    mended = shorten_lags(facts.graph, rows, waited[rows])
    yield Candidate(Pattern.OTHER_JOBS, function, told, mended, rows, certain=False)
