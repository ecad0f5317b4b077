"""Actors that do one thing at a time while others wait."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.kinds.actors.blocked_loops import blocking_methods
from raytrace_analyze.advice.kinds.actors.pools import uneven_pool
from raytrace_analyze.advice.patterns import COPIES, Candidate
from raytrace_analyze.names import attributes
from raytrace_analyze.replay.rewrite import take_turns_of
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording.advice import actors as words

_FEWEST_CALLS = 3


def actor_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find actors that run one call at a time while others queue up."""
    by_class: dict[tuple[str, str], list[RowIds]] = {}
    on_loop: set[tuple[str, str]] = set()
    relations, turns = facts.relations, facts.graph.events.waiting.turns
    methods = facts.runs[(relations.actor[facts.runs] >= 0) & ~relations.is_creation[facts.runs]]
    queued = facts.start_waits.ns_for(Cause.ACTOR_BUSY) if methods.size else np.empty(0, dtype=np.int64)
    for lane in np.unique(turns.lane[methods]).tolist():
        calls = methods[turns.lane[methods] == lane]
        blocking = list(blocking_methods(facts, calls, queued)) if turns.on_loop[lane] else []
        yield from blocking
        if not blocking and calls.size >= _FEWEST_CALLS and _runs_one_at_a_time(facts, calls, lane):
            of_class = facts.functions[int(calls[0])].rpartition(".")[0], _group(facts, calls)
            by_class.setdefault(of_class, []).append(calls)
            if turns.on_loop[lane]:
                on_loop.add(of_class)
    for (name, group), actors in sorted(by_class.items()):
        busy = max(int((facts.end[calls] - facts.start[calls]).sum()) for calls in actors)
        calls = np.concatenate(actors)
        if busy < facts.floor_ns or not queued[calls].any():
            continue
        uneven = list(uneven_pool(facts, name, actors, queued))
        if uneven:
            yield from uneven
            continue
        mended = facts.graph
        for each in actors:
            mended = take_turns_of(mended, each, COPIES)
        yield Candidate(
            Pattern.ACTOR_BOTTLENECK,
            name,
            words.bottleneck(
                name,
                len(actors),
                calls.size,
                longest_wait_ns=int(queued[calls].max()),
                busy_ns=busy,
                of_ns=facts.job.makespan_ns,
                on_loop=(name, group) in on_loop,
                group=group,
            ),
            mended,
            calls[np.argsort(-queued[calls], kind="stable")],
        )


def _group(facts: Facts, calls: RowIds) -> str:
    """Name the concurrency group that all of some calls belong to, empty where there is none."""
    groups = attributes.told(facts.spans.get_column("attributes").gather(calls), attributes.CONCURRENCY_GROUP)
    return str(groups[0]) if groups.n_unique() == 1 and groups[0] else ""


def _runs_one_at_a_time(facts: Facts, calls: RowIds, lane: int) -> bool:
    """Tell whether calls of one concurrency group (in order of start) have to run one at a time, and did."""
    turns = facts.graph.events.waiting.turns
    if not (turns.is_known[lane] and (turns.limit[lane] == 1 or turns.on_loop[lane])):
        return False
    return bool((facts.start[calls[1:]] >= facts.end[calls[:-1]]).all())
