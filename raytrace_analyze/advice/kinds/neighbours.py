"""Other jobs of the same cluster, that had the slots, or the actors, for which tasks waited."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.replay.rewrite import shorten_lags
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.busy_time import covered_within
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording.advice import runs as words

_OF_SLOTS = (Cause.NO_SLOT, Cause.SLOT_START)


@frozen
class _Claims:
    """Who had, or asked for, which places, and from when until when (ns): parallel arrays."""

    run: RowIds
    place: RowIds
    since: Nanos
    until: Nanos


def other_job_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find runs that waited while other jobs had what they waited for: resources of a node, or an actor.

    An actor has its resources for as long as it is there, whether it does anything or not.
    """
    structure, relations, slots = facts.structure, facts.relations, facts.rules.about.slots
    others = np.flatnonzero(structure.is_run & (facts.graph.events.start_of[: facts.spans.height] < 0))
    others = others[~structure.rays_own[others]]
    demand, which = slots.demands.of(others)
    holder = others[which]
    held = _Claims(holder, slots.demands.place[demand], facts.rules.about.held_from[holder], slots.held_to[holder])
    asked = _Claims(*_each_place(facts, *facts.start_waits.pieces_for(*_OF_SLOTS)))
    yield from _candidates(facts, asked, _where(held, slots.demands.holds[demand]), of_actor=False)
    calls = others[relations.actor[others] >= 0]
    busy = _Claims(calls, relations.actor[calls], facts.start[calls], relations.held_until[calls])
    run, since, until = facts.start_waits.pieces_for(Cause.ACTOR_BUSY)
    yield from _candidates(facts, _Claims(run, relations.actor[run], since, until), busy, of_actor=True)


def _each_place(facts: Facts, run: RowIds, since: Nanos, until: Nanos) -> tuple[RowIds, RowIds, Nanos, Nanos]:
    demands = facts.rules.about.slots.demands
    demand, which = demands.of(run)
    return run[which], demands.place[demand], since[which], until[which]


def _where(claims: _Claims, chosen: Flags) -> _Claims:
    return _Claims(claims.run[chosen], claims.place[chosen], claims.since[chosen], claims.until[chosen])


def _candidates(facts: Facts, asked: _Claims, had: _Claims, *, of_actor: bool) -> Iterator[Candidate]:
    had = _where(had, (had.place >= 0) & np.isin(had.place, asked.place))
    over = np.maximum(had.until, had.since)
    waited = np.zeros(facts.spans.height, dtype=np.int64)
    kept = np.zeros(had.run.size, dtype=np.int64)
    for each in np.unique(had.place).tolist():
        here, waiting = np.flatnonzero(had.place == each), np.flatnonzero(asked.place == each)
        covered = covered_within(had.since[here], over[here], asked.since[waiting], asked.until[waiting])
        at_this = np.zeros_like(waited)
        np.add.at(at_this, asked.run[waiting], covered)
        waited = np.maximum(waited, at_this)  # who asks for two resources waits for both at once
        kept[here] = covered_within(asked.since[waiting], asked.until[waiting], had.since[here], over[here])
    rows = np.flatnonzero(waited)
    if rows.size == 0:
        return
    rows = rows[np.argsort(-waited[rows], kind="stable")]
    names, number = np.unique(facts.functions_of(had.run), return_inverse=True)
    most = int(np.argmax(np.bincount(number, kept)))
    other = int(had.run[np.argmax(np.where(number == most, kept, -1))])
    job, session = facts.spans.select("job_id", "session").row(other)
    function = facts.functions[int(rows[0])]
    told = words.behind_other_jobs(
        function, rows.size, waited[rows].tolist(), str(names[most]), job or session or "-", of_actor=of_actor
    )
    mended = shorten_lags(facts.graph, rows, waited[rows])
    yield Candidate(Pattern.OTHER_JOBS, function, told, mended, rows, certain=False)
