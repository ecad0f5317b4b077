"""The forward pass: when everything happens after a change.

Where slots do not matter, that is one pass over the constraints in an order in which causes come first. Where they
do, who gets one depends on who was ready first in the changed job, so events are played in order of time.
"""

import numpy as np

from raytrace_analyze.names.attributes import UNIT
from raytrace_analyze.replay.change import Change, stretches
from raytrace_analyze.replay.graph import Graph, latest_source
from raytrace_analyze.replay.passes.schedule import Plan, play
from raytrace_analyze.replay.queues.ticks import at_next_ticks, without_ticks
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.values import frozen

_ROUNDS = 4
"""How often naps are cut short where what they wait for is there sooner; each round is a pass of its own. It is
twice as often where retries are put to the next time that Ray looks for them, one after another."""


@frozen
class Replay:
    """A job after a change; times in ns since the epoch."""

    graph: Graph
    time: Nanos
    """By event."""
    lag: Nanos
    """By activity: from when all that it waits for was there, to its beginning."""
    length: Nanos
    """By event: the fixed stretch before it."""
    last: RowIds
    """By activity: the event that it waited for last, -1 for the scope's first."""

    @property
    def makespan_ns(self) -> int:
        """How long the scope takes, in ns."""
        return int(self.time[self.graph.horizon]) - self.graph.start_ns


def replay(graph: Graph, change: Change | None = None) -> Replay:
    """Replay a scope with a change; without one, every event comes out where it was observed."""
    change = change or Change()
    length = stretches(graph, change)
    lag = graph.lag.copy()
    if graph.lanes is not None and not _ignores_queues(change):
        lag[graph.activity[graph.events.start_of[graph.lanes.run]]] = graph.lanes.lag
    if change.remove_queue:
        runs = graph.events.rows[:-1]
        runs = runs[graph.events.scoped.structure.is_run[runs]]
        lag[graph.activity[graph.events.start_of[runs]]] = 0
        graph = without_ticks(graph)
    for _ in range(_ROUNDS if graph.ticks is None else 2 * _ROUNDS):
        offset = np.cumsum(length)
        offset -= offset[graph.first][graph.activity]
        began, last = _forward(graph, change, offset, lag)
        time = began[graph.activity] + offset
        before, graph = graph, at_next_ticks(graph, time)
        if graph.elastic is None and graph is before:
            break
        if graph.elastic is None:
            continue
        held = length.copy()
        held[graph.first] = lag
        over = graph.elastic.overslept(time, held)
        if not over.any() and graph is before:
            break
        # What is over sooner may let what comes after it be over sooner, too.
        length, lag = np.where(graph.events.is_barrier, length, length - over), lag - over[graph.first]
    return Replay(graph, time, lag, length, last)


def as_observed(graph: Graph) -> Replay:
    """Give the replay without a change of a graph as it was built: every event is where it was observed.

    What `replay(graph)` gives, where runs wait for slots without playing that.
    """
    slots, events, demand = graph.slots, graph.events, graph.demand
    if slots is None or graph.lanes is not None:
        return replay(graph)
    start = graph.activity[events.start_of[demand.run]]
    kept = ~graph.of_slot | ~np.isin(graph.target, start[~slots.jumped])
    source, target = graph.source[kept], graph.target[kept]
    last = np.full(graph.first.size, -1)
    # Of several at one time the first, as when it is played.
    binding = np.flatnonzero(events.time[source] == latest_source(graph, source, target)[target])[::-1]
    last[target[binding]] = source[binding]
    by_run, by_wait = ((by >= 0) & ~slots.jumped for by in (slots.by_run, slots.by_wait))
    last[start[by_run]] = events.end_of[demand.run[slots.by_run[by_run]]]
    last[start[by_wait]] = demand.pause_event[slots.by_wait[by_wait]]
    return Replay(graph, events.time, graph.lag, stretches(graph, Change()), last)


def _forward(graph: Graph, change: Change, offset: RowIds, lag: Nanos) -> tuple[RowIds, RowIds]:
    without_slots = _ignores_queues(change)
    if change.slots is None and (without_slots or (graph.slots is None and graph.lanes is None)):
        # Where nothing is changed it is known what comes out.
        guess = graph.began - lag if change == Change() else None
        return _pass(graph, offset, lag, guess, with_slots=not without_slots)
    capacity = change.slots * UNIT if change.slots is not None else None
    return play(Plan(graph, offset, lag, capacity))


def _ignores_queues(change: Change) -> bool:
    return change.infinite_slots or change.remove_queue


def _pass(
    graph: Graph, offset: RowIds, lag: Nanos, guess: Nanos | None = None, *, with_slots: bool
) -> tuple[RowIds, RowIds]:
    """Go through all edges once; gives when each activity begins and what it waited for last.

    With a `guess` by activity of when all that it waits for is there, they are not gone through where that holds.
    """
    source, target, delay = graph.source, graph.target, graph.delay
    if not with_slots:
        program = ~(graph.of_slot | graph.had_by_actor)
        source, target, delay = (values[program] for values in (source, target, delay))
    cause = graph.activity[source]
    root = int(graph.activity[graph.events.start_of[graph.events.root]])
    begin = np.full(graph.first.size, -1)
    begin[root] = int(graph.began[root])
    ahead = offset[source] + lag[cause] + delay
    done = begin.copy() if guess is None else np.where(np.bincount(target, minlength=begin.size) > 0, guess, begin)
    if guess is None or not np.array_equal(_one_further(begin, done, cause, target, ahead), done):
        done = _one_by_one(begin, cause, target, ahead)
    binding = done[cause] + ahead == done[target]
    last = np.full(graph.first.size, -1)
    last[target[binding]] = source[binding]
    return done + lag, last


def _one_further(begin: Nanos, done: Nanos, cause: RowIds, target: RowIds, ahead: Nanos) -> Nanos:
    """Tell when all that activities wait for is there, if that of what they wait for is `done` when it says."""
    found = begin.copy()
    np.maximum.at(found, target, done[cause] + ahead)
    return found


def _one_by_one(begin: Nanos, cause: RowIds, target: RowIds, ahead: Nanos) -> Nanos:
    """Tell when all that activities wait for is there: causes come first among the edges."""
    ready = begin.tolist()
    for before, after, then in zip(cause.tolist(), target.tolist(), ahead.tolist(), strict=True):
        time = ready[before] + then
        if time > ready[after]:
            ready[after] = time
    return np.array(ready)
