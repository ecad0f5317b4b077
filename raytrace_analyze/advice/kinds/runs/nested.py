"""Waiting for other tasks within a task: it holds a process meanwhile, and an actor also its CPUs."""

from collections.abc import Iterator
from dataclasses import replace
from heapq import heappop, heappush, heapreplace

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.advice.program.files import first_place
from raytrace_analyze.names.attributes import UNIT, told_cpus
from raytrace_analyze.queueing.causes import COLD
from raytrace_analyze.replay.constraints import by_slots_alone
from raytrace_analyze.replay.graph import Graph, lags_of_runs
from raytrace_analyze.replay.rewrite import shorten_lags
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording.advice import waits as words

_BLOCKED_NS = 10_000_000
_USUALLY = 0.25
"""Which quantile of the times that runs take to start is what it takes when nothing is in the way."""


def nested_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find runs that wait for other tasks within their body, while something had to do without what they hold."""
    waits = facts.waits[facts.graph.events.run_above[facts.waits] >= 0]
    first = facts.relations.ready.first
    # For placement groups, consumers and the like nobody has to be a task.
    waits = waits[(facts.end[waits] - facts.start[waits] >= _BLOCKED_NS) & (first[waits + 1] > first[waits])]
    actor = facts.relations.actor[facts.graph.events.run_above[waits]]
    yield from _holding_processes(facts, waits[actor < 0])
    yield from _holding_cpus(facts, waits[actor >= 0])


def _holding_processes(facts: Facts, waits: RowIds) -> Iterator[Candidate]:
    """Tasks give their CPUs back while they wait, not their process: others need new ones."""
    starting, graph = facts.start_waits.ns_for(*COLD), by_slots_alone(facts.graph)
    extra = _beyond_slots(facts, starting)
    if extra.size == 0:
        return
    late, late_ns = _late(facts, extra, lags_of_runs(graph, facts.runs))
    lacking, lacked_ns = np.concatenate([extra, late]), np.concatenate([starting[extra], late_ns])
    for function, mine in _by_function(facts, waits):
        served, gained = _served_instead(facts, mine, lacking, lacked_ns)
        started = int(np.isin(served, extra).sum())
        if started == 0:
            continue
        site = facts.sites.get(int(mine[0]))
        place, for_actors = first_place(site), _for_actors(facts, mine)
        yield Candidate(
            Pattern.NESTED_GET,
            function,
            words.nested_get_from_actor(function, mine.size, started, place=place)
            if for_actors
            else words.nested_get(function, mine.size, started, place=place, was_given=_was_given(facts, mine)),
            shorten_lags(graph, served, gained),
            np.concatenate([mine, served]),
            site,
            certain=not for_actors,
        )


def _beyond_slots(facts: Facts, starting: Nanos) -> RowIds:
    """Give the runs whose process was started for them, beyond as many as there are slots."""
    tasks = facts.runs[facts.relations.actor[facts.runs] < 0]
    worker = facts.relations.worker[tasks]
    # `runs` are in order of start: the first run in each process, in that order.
    firsts = tasks[np.sort(np.unique(worker, return_index=True)[1])]
    # As many as there are CPUs need a process anyway, and all those that ask for none.
    firsts = firsts[facts.cpus_of(firsts) > 0]
    beyond: RowIds = firsts[facts.slots or 0 :]
    return beyond[starting[beyond] > 0]


def _late(facts: Facts, extra: RowIds, lag_ns: Nanos) -> tuple[RowIds, Nanos]:
    """Give the other runs that had all but a process for longer than is usual, and by how much.

    `lag_ns` is by row how long runs took to start once there was all else.
    """
    tasks = facts.runs[facts.relations.actor[facts.runs] < 0]
    usual = int(np.quantile(lag_ns[tasks], _USUALLY))
    late = np.setdiff1d(tasks[lag_ns[tasks] > usual + _BLOCKED_NS], extra)
    return late, lag_ns[late] - usual


def _served_instead(facts: Facts, waits: RowIds, runs: RowIds, lacked_ns: Nanos) -> tuple[RowIds, Nanos]:
    """Give the runs that could have had what these waits held, and how much earlier (ns) they would have started.

    `lacked_ns` is how long before its start each run had all else. A wait holds what one run needs, from when it is
    opened until it ends: so it serves one run after the other, whichever lacks it first.
    """
    start = facts.start[runs]
    lacks = start - lacked_ns
    held_ns = facts.end[runs] - start - _waited_within(facts, waits)[runs]
    openings = sorted(zip(facts.start[waits].tolist(), facts.end[waits].tolist(), strict=True), reverse=True)
    free: list[tuple[int, int]] = []
    gained = np.zeros(runs.size, dtype=np.int64)
    for at in np.argsort(lacks, kind="stable").tolist():
        began, wanted = int(start[at]), int(lacks[at])
        while openings and openings[-1][0] < began:
            heappush(free, openings.pop())
        while free and free[0][1] <= max(free[0][0], wanted):
            heappop(free)
        if free and (served := max(free[0][0], wanted)) < began:
            gained[at] = began - served
            heapreplace(free, (served + int(held_ns[at]), free[0][1]))
    return runs[gained > 0], gained[gained > 0]


def _waited_within(facts: Facts, waits: RowIds) -> Nanos:
    """Give by row how much of a run these waits are (ns): it holds nothing that long once they are elsewhere."""
    found = np.zeros(facts.spans.height, dtype=np.int64)
    np.add.at(found, facts.graph.events.run_above[waits], facts.end[waits] - facts.start[waits])
    return found


def _holding_cpus(facts: Facts, waits: RowIds) -> Iterator[Candidate]:
    """Actors that were given CPUs keep them while they wait: what they wait for may have to queue for one."""
    if waits.size == 0:
        return
    above, relations = facts.graph.events.run_above[waits], facts.relations
    holds = np.isin(relations.actor[above], _actors_with_cpus(facts))
    waits = waits[holds]
    queued = facts.start_waits.ns_for(Cause.NO_SLOT)
    starved = facts.runs[queued[facts.runs] > 0]
    starved = starved[relations.actor[starved] < 0]
    for function, mine in _by_function(facts, waits):
        found, starved_ns = _served_instead(facts, mine, starved, queued[starved])
        if found.size == 0:
            continue
        site = facts.sites.get(int(mine[0]))
        yield Candidate(
            Pattern.NESTED_GET,
            function,
            words.nested_get_of_actor(function, mine.size, found.size, int(starved_ns.max()), place=first_place(site)),
            _with_cpus_of_actors(facts, shorten_lags(facts.graph, found, starved_ns)),
            np.concatenate([mine, found]),
            site,
        )


def _actors_with_cpus(facts: Facts) -> RowIds:
    created = facts.runs[facts.relations.is_creation[facts.runs]]
    created = created[facts.structure.submit[created] >= 0]
    cpus = told_cpus(facts.spans.get_column("attributes").gather(facts.structure.submit[created]), otherwise=0)
    numbers: RowIds = facts.relations.actor[created[cpus > 0]]
    return numbers


def _with_cpus_of_actors(facts: Facts, graph: Graph) -> Graph:
    """Let tasks have all CPUs of the cluster."""
    if graph.slots is None or facts.job.cluster is None:
        return graph
    capacity = max(graph.slots.capacity, facts.job.cluster.cpus * UNIT)
    return replace(graph, slots=replace(graph.slots, capacity=capacity))


def _by_function(facts: Facts, waits: RowIds) -> Iterator[tuple[str, RowIds]]:
    """Give the functions in which these waits stand, each with its own."""
    callers = np.array([facts.caller(wait) for wait in waits.tolist()], dtype=np.str_)
    for function in np.unique(callers).tolist():
        yield function, waits[callers == function]


def _for_actors(facts: Facts, waits: RowIds) -> bool:
    """Tell whether most of what these waits wait for are calls of actors: a task cannot take these with it."""
    run = facts.all_ready_runs(waits)[1]
    return 2 * int((facts.relations.actor[run] >= 0).sum()) > run.size


def _was_given(facts: Facts, waits: RowIds) -> bool:
    """Tell whether most of what these waits wait for was submitted by somebody else."""
    wait, run = facts.all_ready_runs(waits)
    submit = facts.structure.submit[run]
    wait, submit = wait[submit >= 0], submit[submit >= 0]
    above = facts.graph.events.run_above
    return 2 * int((above[submit] != above[wait]).sum()) > submit.size
