"""The constraints of a scope worked out: the edges of the program, then those of the slots."""

from dataclasses import replace

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED_COUNT, LIBRARY
from raytrace_analyze.names.functions import DRIVER, NOT_TRACED
from raytrace_analyze.names.spans import BATCH, NEXT, WAIT
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.replay.graph import Graph, latest_source, with_edges, without_edges
from raytrace_analyze.replay.program_order.edges import program_edges, slot_edges
from raytrace_analyze.replay.program_order.event_order import END
from raytrace_analyze.replay.program_order.events import Edges, Events, Slots, lay_events
from raytrace_analyze.replay.queues.demand import find_demand
from raytrace_analyze.replay.queues.queued import with_lanes
from raytrace_analyze.replay.queues.scarce import resource_queues, without_queued
from raytrace_analyze.replay.queues.ticks import with_ticks
from raytrace_analyze.replay.slots.given_out import Demand
from raytrace_analyze.replay.slots.slot_model import SlotModel, find_slots
from raytrace_analyze.table.lineage import Nanos, RowIds, flags
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.relations import Runs, relate_runs
from raytrace_analyze.waits.waiting import Waiting, find_waiting

_HANDED_OVER = (NEXT, BATCH)
"""Waits for what Ray Data's own threads hand over."""
_ROUNDS = 64
"""How often activities that begin at one time are put in order before the rest is taken to be a circle."""


def build_graph(
    scoped: Scoped,
    scope: int,
    runs: Runs | None = None,
    options: PathOptions | None = None,
    *,
    waiting: Waiting | None = None,
    had_slots: int | None = None,
    at_most: int | None = None,
    slots: Slots | None = None,
) -> Graph:
    """Work out the constraints of one scope.

    `had_slots`: how many slots there were, told from times if None; `at_most`: how many where these tell of none;
    `slots`: what is known of who had those that runs waited for.
    """
    options = options or PathOptions()
    runs = runs or relate_runs(scoped.structure)
    waiting = waiting or find_waiting(runs)
    events = lay_events(scoped, runs, scope, waiting, infer=options.infer, slots=slots)
    activity = np.cumsum(events.is_barrier) - 1
    first = np.flatnonzero(events.is_barrier)
    gap = np.diff(events.time, prepend=events.time[:1])
    owner = events.owner
    structure, spans = scoped.structure, scoped.span_count
    inside = np.minimum(owner, spans - 1)
    of_span = (owner >= 0) & ~structure.is_submit[inside] & ~events.is_wait[inside]
    works = np.where(owner >= spans, not events.has_driver, of_span)
    function, functions = _functions(events)
    bare = Graph(
        events=events,
        activity=activity,
        first=first,
        fixed=np.where(events.is_barrier, 0, gap),
        works=works,
        source=np.empty(0, dtype=np.int64),
        target=np.empty(0, dtype=np.int64),
        delay=np.empty(0, dtype=np.int64),
        of_slot=np.empty(0, dtype=np.bool_),
        of_turn=np.empty(0, dtype=np.bool_),
        ready=np.empty(0, dtype=np.int64),
        lag=np.empty(0, dtype=np.int64),
        order=np.empty(0, dtype=np.int64),
        demand=_NO_DEMAND,
        slots=None,
        function=function,
        functions=functions,
    )
    graph = _handed_over(_constrained(bare, *_without_asides(events, *program_edges(events, options))))
    graph = graph if slots is None else _fetched(graph, *slots.fetched)
    graph = with_ticks(graph)
    queues = resource_queues(graph)
    demand = without_queued(find_demand(graph), queues)
    is_known = events.runs.recorded[demand.run].all()
    in_place = slot_edges(events)
    freed = _process_freed(events, demand, in_place)
    model = find_slots(demand, had_slots, freed) if is_known or had_slots is not None else None
    model = find_slots(demand, at_most, freed) if model is None and at_most is not None else model
    return with_lanes(_slotted(replace(graph, demand=demand, slots=model), in_place), queues)


_NONE = np.empty(0, dtype=np.int64)
_NO_DEMAND = Demand(*(_NONE for _ in range(12)))


def _functions(events: Events) -> tuple[RowIds, list[str]]:
    """Number the functions; by event the one whose stretch it ends, the driver for what is in no run.

    A span within a run that is a function of its own (a request that Ray Serve handles) counts as that, as on the path.
    Where the driver has a span, what lies outside of all spans is nobody's.
    """
    structure = events.scoped.structure
    of_row = structure.spans.get_column("function").fill_null("")
    names = of_row.unique().sort()
    number = of_row.replace_strict(names, pl.int_range(names.len(), eager=True), return_dtype=pl.Int64).to_numpy()
    run = events.run_above[np.maximum(events.owner, 0)]
    run = np.where(events.owner >= 0, run, -1)
    inner = np.clip(events.owner, 0, events.scoped.span_count - 1)
    is_own = (run >= 0) & ~structure.is_submit[inner] & ~events.runs.is_wait[inner]
    is_own &= (of_row != "").to_numpy()[inner]
    nobodys = (events.owner >= events.scoped.span_count) & events.has_driver
    by_event = np.where(run >= 0, number[np.where(is_own, inner, run)], names.len() + nobodys)
    return by_event, [*names.to_list(), DRIVER, NOT_TRACED]


def _constrained(graph: Graph, source: RowIds, target: RowIds) -> Graph:
    """Add the edges of the program, put them in order and find the lags."""
    target = graph.activity[target]
    order = _in_order(graph, source, target)
    kept = order[graph.activity[source]] < order[target]
    source, target = source[kept], target[kept]
    # What waits for nothing after all still lies in its scope.
    is_alone = np.ones(graph.first.size, dtype=np.bool_)
    is_alone[target] = False
    alone = np.flatnonzero(is_alone)
    root = graph.events.start_of[graph.events.root]
    alone = alone[alone != graph.activity[root]]
    source = np.concatenate([source, np.full(alone.size, root)])
    target = np.concatenate([target, alone])
    ready = latest_source(graph, source, target)
    by_order = np.argsort(order[target], kind="stable")
    return replace(
        graph,
        source=source[by_order],
        target=target[by_order],
        delay=np.zeros(source.size, dtype=np.int64),
        of_slot=np.zeros(source.size, dtype=np.bool_),
        of_turn=np.zeros(source.size, dtype=np.bool_),
        ready=ready,
        lag=graph.began - ready,
        order=order,
    )


def _without_asides(events: Events, first: RowIds, second: RowIds) -> tuple[RowIds, RowIds]:
    """Leave out what leads from what is beside a wait, and from what that submitted, back to what is not.

    It would have been asked for at another time, had the wait been over sooner: nothing waits for when it was. What it
    submits in turn begins after that all the same.
    """
    if (events.anchor < 0).all():
        return first, second
    submit = np.full(events.anchor.size, -1, dtype=np.int64)
    submit[: events.scoped.span_count] = events.scoped.structure.submit
    is_aside = (events.anchor >= 0) | ((submit >= 0) & (events.anchor[submit] >= 0))
    begins = (second == events.start_of[events.row[second]]) & (submit[events.row[second]] == events.row[first])
    kept = ~is_aside[events.flow[first]] | is_aside[events.flow[second]] | begins
    return first[kept], second[kept]


def _handed_over(graph: Graph) -> Graph:
    """Let waits for blocks and batches of Ray Data be over at once where those were there before.

    What passes between a task's end and such a wait's is what Ray Data's thread needs until it looks. It looks while
    the program is busy, too.
    """
    events = graph.events
    spans = events.scoped.structure.spans
    is_handed = flags(spans.get_column("name").is_in(_HANDED_OVER))
    waits = np.flatnonzero(is_handed | flags(spans.get_column("name") == WAIT))
    texts = spans.get_column("attributes").gather(waits)
    asks_on = is_handed[waits] | flags(texts.str.contains(AWAITED_COUNT, literal=True))
    is_handed[waits] = asks_on & flags(texts.str.contains(LIBRARY, literal=True))
    is_handed = np.append(is_handed, np.zeros(events.head.size - is_handed.size, np.bool_))
    barrier = graph.first[graph.target]
    in_flow = (events.flow[graph.source] == events.flow[barrier]) & (events.kind[barrier] == END)
    came_later = events.time[graph.source] < graph.ready[graph.target]
    at_once = in_flow & came_later & is_handed[events.row[barrier]]
    return replace(graph, delay=np.where(at_once, -graph.lag[graph.target], graph.delay))


def _fetched(graph: Graph, runs: RowIds, until: Nanos) -> Graph:
    """Let some runs (rows) ask for their slots only when their arguments are there, as long after all else."""
    inside = graph.events.start_of[runs] >= 0
    start, there = graph.activity[graph.events.start_of[runs[inside]]], until[inside]
    took = np.zeros(graph.first.size, dtype=np.int64)
    took[start] = np.clip(there - graph.ready[start], 0, graph.lag[start])
    delay = graph.delay + took[graph.target]
    return replace(graph, ready=graph.ready + took, lag=graph.lag - took, delay=delay)


def _in_order(graph: Graph, source: RowIds, target: RowIds) -> RowIds:
    """Put the activities in an order in which causes come first: by time; those of one time by what leads where."""
    began, cause = graph.began, graph.activity[source]
    rank = np.zeros(graph.first.size, dtype=np.int64)
    tied = np.flatnonzero((began[cause] == began[target]) & (cause != target))
    for _ in range(_ROUNDS):
        later = rank[cause[tied]] >= rank[target[tied]]
        if not later.any():
            break
        np.maximum.at(rank, target[tied][later], rank[cause[tied]][later] + 1)
    rank += 1
    rank[graph.activity[graph.events.start_of[graph.events.root]]] = 0
    order = np.empty(rank.size, dtype=np.int64)
    order[np.lexsort((rank, began))] = np.arange(rank.size)
    return order


def _process_freed(events: Events, demand: Demand, in_place: Edges) -> Nanos:
    """Give by element of a demand when the process that its run got was free for it; 0 where that is not known."""
    source, target = in_place
    freed = np.zeros(events.start_of.size, dtype=np.int64)
    np.maximum.at(freed, events.row[target], events.time[source])
    return freed[demand.run]


def _slotted(graph: Graph, in_place: Edges) -> Graph:
    """Add an edge for every slot that somebody waited for, and take it out of the lags."""
    source, target = in_place
    target = graph.activity[target]
    if graph.slots is not None:
        source, target = _granted(graph, graph.slots, source, target)
    kept = graph.order[graph.activity[source]] < graph.order[target]
    kept &= graph.events.time[source] > graph.ready[target]
    source, target = source[kept], target[kept]
    freed = np.maximum(latest_source(graph, source, target), graph.ready)
    waited = np.zeros(graph.first.size, dtype=np.bool_)
    waited[target] = True
    if graph.slots is not None:
        activities = graph.activity[graph.events.start_of[graph.demand.run]]
        queued = ~graph.slots.jumped
        freed[activities[queued]] = graph.slots.granted[queued]
        waited[activities[queued]] = True
    lag = np.where(waited, graph.began - freed, graph.lag)
    return replace(with_edges(graph, source, target, of_slot=True), lag=lag)


def _granted(graph: Graph, slots: SlotModel, source: RowIds, target: RowIds) -> tuple[RowIds, RowIds]:
    """Give the edges from what made room for a run to its start; those given only for runs that jumped the queue."""
    events, demand = graph.events, graph.demand
    start = graph.activity[events.start_of[demand.run]]
    by_run, by_wait = np.flatnonzero(slots.by_run >= 0), np.flatnonzero(slots.by_wait >= 0)
    stay = np.isin(target, start[slots.jumped])
    return (
        np.concatenate(
            [
                source[stay],
                events.end_of[demand.run[slots.by_run[by_run]]],
                demand.pause_event[slots.by_wait[by_wait]],
            ]
        ),
        np.concatenate([target[stay], start[by_run], start[by_wait]]),
    )


def by_slots_alone(graph: Graph) -> Graph:
    """Give the constraints with the runs in the queue for slots, too, that waited for whoever had their process.

    To get one takes them as long as it did, whatever that had.
    """
    if graph.slots is None or graph.slots.alone is None or graph.lanes is not None:
        return graph
    bare = replace(without_edges(graph, graph.of_slot), lag=graph.began - graph.ready, slots=graph.slots.alone)
    return _slotted(bare, slot_edges(graph.events))


def as_it_was(graph: Graph) -> Graph:
    """Give the constraints with every place in a worker process as it was, also where slots do not explain it."""
    source, target = slot_edges(graph.events)
    target = graph.activity[target]
    kept = graph.order[graph.activity[source]] < graph.order[target]
    kept &= graph.events.time[source] > graph.began[target] - graph.lag[target]
    graph = with_edges(graph, source[kept], target[kept], of_slot=True)
    return replace(graph, lag=graph.began - latest_source(graph, graph.source, graph.target), slots=None, lanes=None)
