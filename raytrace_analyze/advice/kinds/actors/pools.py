"""Several actors of one kind, of which one has most of the work while another idles, or is slower than the others."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.analyses.libraries.slow_ones import FEWEST, SLOWER
from raytrace_analyze.names.attributes import LIBRARY
from raytrace_analyze.names.spans import NEXT
from raytrace_analyze.replay.rewrite import scale_work, share_out
from raytrace_analyze.table.lineage import Nanos, RowIds, flags
from raytrace_analyze.trace.actor_labels import actor_labels
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import actors as words

_RAYS_POOL = "PoolActor"
_OF_LIBRARIES = ("rank ", "trial ")
"""What actors are called that are no copies of each other, or of which Ray's libraries tell more."""
_UNEVEN = 1.5
"""How many times as long as their mean the busiest one works."""


def uneven_pool(facts: Facts, name: str, actors: list[RowIds], queued: Nanos) -> Iterator[Candidate]:
    """Find out whether one of the actors of a class (the calls of each, in order of start) has too much of the work.

    `queued` tells by row how long a run waited for its turn (ns). Calls can be given to another actor only where they
    need no state of their own: certain for Ray's Pool, else for the program to know.
    """
    if len(actors) < 2:
        return
    busy = [int((facts.end[calls] - facts.start[calls]).sum()) for calls in actors]
    most, least = int(np.argmax(busy)), int(np.argmin(busy))
    if busy[most] < _UNEVEN * sum(busy) / len(busy) or not queued[actors[most]].any():
        return
    calls = np.concatenate(actors)
    is_stateless = name.endswith(_RAYS_POOL)
    yield Candidate(
        Pattern.UNEVEN_POOL,
        name,
        words.uneven_pool(
            name,
            len(actors),
            most_ns=busy[most],
            most_calls=actors[most].size,
            least_ns=busy[least],
            least_calls=actors[least].size,
            is_stateless=is_stateless,
            is_slower=_is_slower(facts, actors[most], np.concatenate([*actors[:most], *actors[most + 1 :]])),
        ),
        share_out(facts.graph, calls, len(actors)),
        actors[most][np.argsort(-queued[actors[most]], kind="stable")],
        certain=is_stateless,
    )


def _is_slower(facts: Facts, calls: RowIds, others: RowIds) -> bool:
    """Tell whether calls usually work far longer than others of the same method."""
    return bool(np.median(facts.work_ns[calls]) >= SLOWER * max(float(np.median(facts.work_ns[others])), 1))


def slow_actor_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find methods that usually take far longer on one of several actors than on the others.

    Not of Ray's Pool, whose calls do whatever the program gives to each.
    """
    relations = facts.relations
    for function, all_runs in facts.runs_by_function.items():
        if function.rpartition(".")[0].endswith(_RAYS_POOL):
            continue
        calls = all_runs[(relations.actor[all_runs] >= 0) & ~relations.is_creation[all_runs] & ~facts.failed[all_runs]]
        actors, counts = np.unique(relations.actor[calls], return_counts=True)
        if actors[counts >= FEWEST].size < 1 or actors.size < 2:
            continue
        work = facts.work_ns[calls]
        medians = np.array([np.median(work[relations.actor[calls] == actor]) for actor in actors])
        at = int(np.argmax(np.where(counts >= FEWEST, medians, 0)))
        on_it = relations.actor[calls] == actors[at]
        slow, others = calls[on_it], work[~on_it]
        usual = float(np.median(others))
        if others.size < FEWEST or medians[at] < SLOWER * max(usual, 1):
            continue
        # Several may be as slow: that is how far these actors differ.
        if (np.delete(medians, at) >= medians[at] / SLOWER).any() or not facts.cost_ns(slow):
            continue
        name = _label(facts, int(slow[0]))
        if name.startswith(_OF_LIBRARIES):
            continue
        yield Candidate(
            Pattern.SLOW_ACTOR,
            function,
            words.slow_actor(name, function, actors.size - 1, slow.size, slow_ns=float(medians[at]), usual_ns=usual),
            scale_work(facts.graph, slow, np.full(slow.size, usual / medians[at])),
            slow[np.argsort(-facts.work_ns[slow], kind="stable")],
            # Whether they are to do the same only the program knows.
            certain=False,
        )


def slow_taker_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find runs that work far longer with their part of a dataset of Ray Data than others do with theirs.

    The parts of a dataset that is split are alike, and who has done with its own waits for the others.
    """
    waits = facts.waits[(facts.spans.get_column("name").gather(facts.waits) == NEXT).to_numpy()]
    texts = facts.spans.get_column("attributes").gather(waits)
    run = facts.structure.run_above[waits[flags(texts.str.contains(f'"{LIBRARY}":"ray.data"', literal=True))]]
    takers, counts = np.unique(run[run >= 0], return_counts=True)
    takers = takers[(counts >= FEWEST) & (facts.relations.actor[takers] >= 0) & ~facts.failed[takers]]
    names = facts.functions_of(takers)
    for function in np.unique(names).tolist():
        runs = takers[names == function]
        work = facts.work_ns[runs]
        slow = int(np.argmax(work))
        if runs.size < 2 or np.unique(facts.relations.actor[runs]).size < runs.size:
            continue
        others = np.delete(work, slow)
        usual = float(np.median(others))
        if work[slow] < SLOWER * max(float(others.max()), 1) or not facts.cost_ns(runs[[slow]]):
            continue
        name = _label(facts, int(runs[slow]))
        if name.startswith(_OF_LIBRARIES):
            continue
        yield Candidate(
            Pattern.SLOW_ACTOR,
            function,
            words.slow_taker(name, function, others.size, slow_ns=int(work[slow]), usual_ns=round(usual)),
            scale_work(facts.graph, runs[[slow]], np.array([usual / work[slow]])),
            runs[[slow]],
            certain=False,
        )


def _label(facts: Facts, run: int) -> str:
    about = facts.spans.select("session", "actor_id")[run]
    found: str = actor_labels(facts.spans).join(about, on=["session", "actor_id"]).get_column("actor").to_list()[0]
    return found
