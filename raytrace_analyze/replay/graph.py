"""The constraints of a scope, made ready for being replayed.

An *activity* is what a flow does from one barrier to the next: all its events keep their distance from its beginning,
or have it scaled with the work in between. So only the beginnings of activities have to be worked out, each from the
events that it waits for, and its own lag after the last of them (fetching a result, dispatching a run). The lag is the
one that was observed; it is never negative.
"""

from dataclasses import replace

import numpy as np

from raytrace_analyze.replay.program_order.elastic import Elastic
from raytrace_analyze.replay.program_order.events import Events
from raytrace_analyze.replay.slots.given_out import Demand
from raytrace_analyze.replay.slots.lanes import Lanes
from raytrace_analyze.replay.slots.slot_model import SlotModel
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.values import frozen


@frozen
class Ticks:
    """Retries that wait for the next time at which Ray looks for what is to be made again: parallel arrays."""

    activity: RowIds
    at: Nanos
    """Such a time (ns since the epoch): others are a second apart."""
    took: Nanos
    """How long each waits for that (ns), which is part of the delays of what leads to it."""
    before: RowIds
    """The position of the retry of the same task before it, -1 for the first."""


@frozen
class Graph:
    """Activities and what they wait for; times in ns since the epoch, activities numbered as their flows are."""

    events: Events
    activity: RowIds
    """By event."""
    first: RowIds
    """By activity: its barrier, an event."""
    fixed: Nanos
    """By event: the time that the stretch before it takes, 0 before a barrier."""
    works: Flags
    """By event: that stretch is work, which a faster function shortens."""
    source: RowIds
    """By edge: the event that is waited for. Edges are sorted so that an activity's come before those from it."""
    target: RowIds
    """By edge: the activity that waits."""
    delay: RowIds
    """By edge: how long after that event what it waits for is there; 0 but where something was moved."""
    of_slot: Flags
    """By edge: it holds only while there is no other number of slots."""
    of_turn: Flags
    """By edge: it holds only while calls of an actor have their turns in the order that was observed."""
    ready: RowIds
    """By activity: when all but its slot was there."""
    lag: Nanos
    """By activity: from when all that it waits for is there, to its beginning."""
    order: RowIds
    """By activity: its place in an order in which causes come first."""
    demand: Demand
    slots: SlotModel | None
    """None where slots explain nothing of the time before runs."""
    function: RowIds
    """By event: the number of the function whose stretch it ends."""
    functions: list[str]
    lanes: Lanes | None = None
    """Calls that wait for turns on actors; None for none of which it is known."""
    elastic: Elastic | None = None
    """What of all that is over as soon as something is there; None where nobody looked."""
    ticks: Ticks | None = None
    """Retries that wait for a look of Ray's; None for none of which it is known."""

    @property
    def began(self) -> RowIds:
        """By activity: when it began."""
        return self.events.time[self.first]

    @property
    def had_by_actor(self) -> Flags:
        """By edge: it holds only while an actor has the slot that somebody waits for, as was observed."""
        return self.events.frees_slot[self.source]

    @property
    def slept(self) -> Nanos:
        """By event: how much of the stretch before it is no work, since it was slept until something was there."""
        return np.zeros_like(self.fixed) if self.elastic is None else np.minimum(self.elastic.slept, self.fixed)

    @property
    def horizon(self) -> int:
        """The event where the scope ends."""
        return self.events.horizon

    @property
    def start_ns(self) -> int:
        """When the scope starts; no change moves that."""
        return int(self.events.scoped.start[self.events.root])

    @property
    def end_ns(self) -> int:
        """When it ended."""
        return int(self.events.time[self.horizon])


def latest_source(graph: Graph, source: RowIds, target: RowIds) -> RowIds:
    """When the last of what each activity waits for was there; its own beginning for what waits for nothing."""
    latest = np.full(graph.first.size, np.iinfo(np.int64).min)
    np.maximum.at(latest, target, graph.events.time[source])
    return np.where(latest == np.iinfo(np.int64).min, graph.began, latest)


def released_by(graph: Graph) -> RowIds:
    """Give by event which event of another flow, the latest, it had to wait for; -1 for none."""
    flow, time = graph.events.flow, graph.events.time
    barrier = graph.first[graph.target]
    others = np.flatnonzero(flow[graph.source] != flow[barrier])
    others = others[np.argsort(time[graph.source[others]], kind="stable")]
    found = np.full(time.size, -1, dtype=np.int64)
    found[barrier[others]] = graph.source[others]
    return found


def with_edges(
    graph: Graph, source: RowIds, target: RowIds, *, of_slot: bool = False, delay: Nanos | None = None
) -> Graph:
    """Add edges from events to activities that come later, by so much at least; the lags stay as they are."""
    delay = np.zeros(source.size, dtype=np.int64) if delay is None else delay
    all_source, all_target = np.concatenate([graph.source, source]), np.concatenate([graph.target, target])
    by_order = np.argsort(graph.order[all_target], kind="stable")
    return replace(
        graph,
        source=all_source[by_order],
        target=all_target[by_order],
        delay=np.concatenate([graph.delay, delay])[by_order],
        of_slot=np.concatenate([graph.of_slot, np.full(source.size, of_slot)])[by_order],
        of_turn=np.concatenate([graph.of_turn, np.full(source.size, False)])[by_order],
    )


def without_edges(graph: Graph, edges: Flags) -> Graph:
    """Leave out some edges; the lags stay as they are."""
    kept = ~edges
    return replace(
        graph,
        source=graph.source[kept],
        target=graph.target[kept],
        delay=graph.delay[kept],
        of_slot=graph.of_slot[kept],
        of_turn=graph.of_turn[kept],
    )


def lags_of_runs(graph: Graph, runs: RowIds) -> Nanos:
    """Give by row of the table how long these runs took to start once everything they waited for was there; else 0."""
    found = np.zeros(graph.events.scoped.span_count, dtype=np.int64)
    found[runs] = graph.lag[graph.activity[graph.events.start_of[runs]]]
    return found
