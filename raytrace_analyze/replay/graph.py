"""The constraints of a scope, made ready for being replayed.

An *activity* is what a flow does from one barrier to the next: all its events keep their distance from its beginning,
or have it scaled with the work in between. So only the beginnings of activities have to be worked out, each from the
events that it waits for, and its own lag after the last of them (fetching a result, dispatching a run). The lag is the
one that was observed; it is never negative.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from raytrace_analyze.function_names import DRIVER
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.replay.edges import program_edges, slot_edges, submit_edges
from raytrace_analyze.replay.events import INFERRED_JOIN, Events, lay_events
from raytrace_analyze.replay.slot_model import Demand, SlotModel, cpu_demands, find_slots
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.relations import Runs, relate_runs
from raytrace_analyze.trace.waiting import Waiting, find_waiting

_ROUNDS = 64
"""How often activities that begin at one time are put in order before the rest is taken to be a circle."""


@dataclass(frozen=True)
class Graph:
    """Pieces and what they wait for; times in ns since the epoch, activities numbered as their flows are."""

    events: Events
    activity: RowIds
    """By event."""
    first: RowIds
    """By activity: its barrier, a event."""
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

    @property
    def began(self) -> RowIds:
        """By activity: when it began."""
        return self.events.time[self.first]

    @property
    def horizon(self) -> int:
        """The event where the scope ends."""
        return int(self.events.end_of[self.events.root])

    @property
    def start_ns(self) -> int:
        """When the scope starts; no change moves that."""
        return int(self.events.scoped.start[self.events.root])

    @property
    def end_ns(self) -> int:
        """When it ended."""
        return int(self.events.time[self.horizon])


def build_graph(
    scoped: Scoped,
    scope: int,
    runs: Runs | None = None,
    options: PathOptions | None = None,
    *,
    waiting: Waiting | None = None,
    had_slots: int | None = None,
    at_most: int | None = None,
) -> Graph:
    """Work out the constraints of one scope.

    `had_slots`: how many slots there were, told from times if None; `at_most`: how many where these tell of none.
    """
    options = options or PathOptions()
    runs = runs or relate_runs(scoped.structure)
    events = lay_events(scoped, runs, scope, waiting or find_waiting(runs), infer=options.infer)
    activity = np.cumsum(events.is_barrier) - 1
    first = np.flatnonzero(events.is_barrier)
    gap = np.diff(events.time, prepend=events.time[:1])
    owner = events.owner
    structure, spans = scoped.structure, scoped.span_count
    inside = np.minimum(owner, spans - 1)
    works = (owner >= spans) | ((owner >= 0) & ~structure.is_submit[inside] & ~events.runs.is_wait[inside])
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
        ready=np.empty(0, dtype=np.int64),
        lag=np.empty(0, dtype=np.int64),
        order=np.empty(0, dtype=np.int64),
        demand=_NO_DEMAND,
        slots=None,
        function=function,
        functions=functions,
    )
    graph = _constrained(bare, *program_edges(events, options))
    demand = _demand(graph)
    is_known = events.runs.recorded[demand.run].all()
    slots = find_slots(demand, had_slots) if is_known or had_slots is not None else None
    slots = find_slots(demand, at_most) if slots is None and at_most is not None else slots
    return _slotted(replace(graph, demand=demand, slots=slots))


_NONE = np.empty(0, dtype=np.int64)
_NO_DEMAND = Demand(*(_NONE for _ in range(12)))


def _functions(events: Events) -> tuple[RowIds, list[str]]:
    """Number the functions; by event the one whose stretch it ends, the driver for what is in no run."""
    spans = events.scoped.structure.spans
    of_row = spans.get_column("function").fill_null("")
    names = of_row.unique().sort()
    number = of_row.replace_strict(names, pl.int_range(names.len(), eager=True), return_dtype=pl.Int64).to_numpy()
    run = events.run_above[np.maximum(events.owner, 0)]
    run = np.where(events.owner >= 0, run, -1)
    return np.where(run >= 0, number[run], names.len()), [*names.to_list(), DRIVER]


def _constrained(graph: Graph, source: RowIds, target: RowIds) -> Graph:
    """Add the edges of the program, put them in order and find the lags."""
    target = graph.activity[target]
    order = _in_order(graph, source, target)
    kept = order[graph.activity[source]] < order[target]
    source, target = source[kept], target[kept]
    # What waits for nothing after all still lies in its scope.
    alone = np.setdiff1d(np.arange(graph.first.size), target)
    root = graph.events.start_of[graph.events.root]
    alone = alone[alone != graph.activity[root]]
    source = np.concatenate([source, np.full(alone.size, root)])
    target = np.concatenate([target, alone])
    ready = _latest(graph, source, target)
    by_order = np.argsort(order[target], kind="stable")
    return replace(
        graph,
        source=source[by_order],
        target=target[by_order],
        delay=np.zeros(source.size, dtype=np.int64),
        of_slot=np.zeros(source.size, dtype=np.bool_),
        ready=ready,
        lag=graph.began - ready,
        order=order,
    )


def _latest(graph: Graph, source: RowIds, target: RowIds) -> RowIds:
    """When the last of what each activity waits for was there; its own beginning for what waits for nothing."""
    latest = np.full(graph.first.size, np.iinfo(np.int64).min)
    np.maximum.at(latest, target, graph.events.time[source])
    return np.where(latest == np.iinfo(np.int64).min, graph.began, latest)


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


def _demand(graph: Graph) -> Demand:
    """Find who takes slots: the runs of tasks, but for their waits. (Actors hold theirs as long as they live.)"""
    events, structure = graph.events, graph.events.scoped.structure
    rows = events.rows[:-1]
    rows = rows[structure.is_run[rows] & (events.runs.actor[rows] < 0) & (events.scoped.parent[rows] >= 0)]
    rows = rows[events.scoped.end[rows] > events.scoped.start[rows]]
    submit = events.scoped.parent[rows]
    amount = cpu_demands(
        structure.spans.get_column("attributes").gather(submit),
        structure.spans.get_column("required_resources").gather(rows),
    )
    rows, submit, amount = rows[amount > 0], submit[amount > 0], amount[amount > 0]
    start = graph.activity[events.start_of[rows]]
    over = submit_edges(events, rows)[0]
    over = np.where(graph.order[graph.activity[over]] < graph.order[start], over, events.start_of[events.root])
    element = np.full(events.start_of.size, -1, dtype=np.int64)
    element[rows] = np.arange(rows.size)
    ended, begun = rests(graph, rows)
    blocked = graph.ready[ended] > events.time[begun]
    ended, begun = ended[blocked], begun[blocked]
    return Demand(
        run=rows,
        amount=amount,
        ready=graph.ready[start],
        released=(graph.ready[start] > events.time[over]).astype(np.int64),
        submit=over,
        submitted=events.time[over],
        start=events.scoped.start[rows],
        end=np.maximum(events.runs.held_until[rows], events.scoped.end[rows]),
        pause_of=element[events.flow[begun]],
        pause_start=events.time[begun],
        pause_end=graph.ready[ended],
        pause_event=begun,
    )


def rests(graph: Graph, runs: RowIds) -> tuple[RowIds, RowIds]:
    """Find where runs wait for others within their own flow: the activities after that, and the events where it begins.

    Those are waits and, where none were recorded, the joins that are inferred.
    """
    events = graph.events
    holds = np.zeros(events.start_of.size, dtype=np.bool_)
    holds[runs] = True
    waits = events.rows[:-1]
    waits = waits[
        events.runs.is_wait[waits]
        & ~events.scoped.structure.keeps_slot[waits]
        & holds[events.head[waits]]
        & (events.head[waits] != waits)
    ]
    ended, begun = graph.activity[events.end_of[waits]], events.start_of[waits]
    kept = (graph.first[ended] == events.end_of[waits]) & (graph.activity[begun] == ended - 1)
    inferred_joins = np.flatnonzero((events.kind == INFERRED_JOIN) & holds[events.flow])
    return (
        np.concatenate([ended[kept], graph.activity[inferred_joins]]),
        np.concatenate([begun[kept], inferred_joins - 1]),
    )


def _slotted(graph: Graph) -> Graph:
    """Add an edge for every slot that somebody waited for, and take it out of the lags."""
    source, target = slot_edges(graph.events)
    target = graph.activity[target]
    if graph.slots is not None:
        source, target = _granted(graph, graph.slots, source, target)
    kept = graph.order[graph.activity[source]] < graph.order[target]
    kept &= graph.events.time[source] > graph.ready[target]
    source, target = source[kept], target[kept]
    freed = np.maximum(_latest(graph, source, target), graph.ready)
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


def as_it_was(graph: Graph) -> Graph:
    """Give the constraints with every place in a worker process as it was, also where slots do not explain it."""
    source, target = slot_edges(graph.events)
    target = graph.activity[target]
    kept = graph.order[graph.activity[source]] < graph.order[target]
    kept &= graph.events.time[source] > graph.began[target] - graph.lag[target]
    graph = with_edges(graph, source[kept], target[kept], of_slot=True)
    latest = _latest(graph, graph.source, graph.target)
    return replace(graph, lag=graph.began - latest, slots=None)


def with_edges(graph: Graph, source: RowIds, target: RowIds, *, of_slot: bool = False) -> Graph:
    """Add edges from events to activities that come later; the lags stay as they are."""
    all_source, all_target = np.concatenate([graph.source, source]), np.concatenate([graph.target, target])
    by_order = np.argsort(graph.order[all_target], kind="stable")
    return replace(
        graph,
        source=all_source[by_order],
        target=all_target[by_order],
        delay=np.concatenate([graph.delay, np.zeros(source.size, dtype=np.int64)])[by_order],
        of_slot=np.concatenate([graph.of_slot, np.full(source.size, of_slot)])[by_order],
    )
