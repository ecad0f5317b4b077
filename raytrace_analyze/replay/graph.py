"""The constraints of a scope, made ready for being replayed.

A *piece* is what a flow does from one barrier to the next: all its points keep their distance from its beginning, or
have it scaled with the work in between. So only the beginnings of pieces have to be worked out, each from the points
that it waits for, and its own lag after the last of them (fetching a result, dispatching a run). The lag is the one
that was observed; it is never negative.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from raytrace_analyze.path.result import DRIVER
from raytrace_analyze.replay.edges import program_edges, slot_edges, submit_edges
from raytrace_analyze.replay.points import GUEST, Points, lay_points
from raytrace_analyze.replay.slot_model import Demand, Slots, cpu_demands, find_slots
from raytrace_analyze.table.lineage import Flags, Rows
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.relations import relate_runs

_ROUNDS = 64
"""How often pieces that begin at one time are put in order before the rest is taken to be a circle."""


@dataclass(frozen=True)
class Graph:
    """Pieces and what they wait for; times in ns since the epoch, pieces numbered as their flows are."""

    points: Points
    piece: Rows
    """By point."""
    first: Rows
    """By piece: its barrier, a point."""
    fixed: Rows
    """By point: the time that the stretch before it takes, 0 before a barrier."""
    works: Flags
    """By point: that stretch is work, which a faster function shortens."""
    source: Rows
    """By edge: the point that is waited for. Edges are sorted so that a piece's come before those from it."""
    target: Rows
    """By edge: the piece that waits."""
    delay: Rows
    """By edge: how long after that point what it waits for is there; 0 but where something was moved."""
    of_slot: Flags
    """By edge: it holds only while there is no other number of slots."""
    ready: Rows
    """By piece: when all but its slot was there."""
    lag: Rows
    """By piece: from when all that it waits for is there, to its beginning."""
    order: Rows
    """By piece: its place in an order in which causes come first."""
    demand: Demand
    slots: Slots | None
    """None where slots explain nothing of the time before runs."""
    function: Rows
    """By point: the number of the function whose stretch it ends."""
    functions: list[str]

    @property
    def began(self) -> Rows:
        """By piece: when it began."""
        return self.points.time[self.first]

    @property
    def horizon(self) -> int:
        """The point where the scope ends."""
        return int(self.points.end_of[self.points.root])

    @property
    def start_ns(self) -> int:
        """When the scope starts; no change moves that."""
        return int(self.points.scoped.start[self.points.root])

    @property
    def end_ns(self) -> int:
        """When it ended."""
        return int(self.points.time[self.horizon])


def build_graph(
    scoped: Scoped, scope: int, *, infer: bool = True, had_slots: int | None = None, at_most: int | None = None
) -> Graph:
    """Work out the constraints of one scope.

    `had_slots`: how many slots there were, told from times if None; `at_most`: how many where these tell of none.
    """
    points = lay_points(scoped, relate_runs(scoped.structure), scope, infer=infer)
    piece = np.cumsum(points.is_barrier) - 1
    first = np.flatnonzero(points.is_barrier)
    gap = np.diff(points.time, prepend=points.time[:1])
    owner = points.owner
    structure, spans = scoped.structure, scoped.span_count
    inside = np.minimum(owner, spans - 1)
    works = (owner >= spans) | ((owner >= 0) & ~structure.is_submit[inside] & ~points.runs.is_wait[inside])
    function, functions = _functions(points)
    bare = Graph(
        points=points,
        piece=piece,
        first=first,
        fixed=np.where(points.is_barrier, 0, gap),
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
    graph = _constrained(bare, *program_edges(points, infer=infer))
    demand = _demand(graph)
    is_known = points.runs.recorded[demand.run].all()
    slots = find_slots(demand, had_slots) if is_known or had_slots is not None else None
    slots = find_slots(demand, at_most) if slots is None and at_most is not None else slots
    return _slotted(replace(graph, demand=demand, slots=slots))


_NONE = np.empty(0, dtype=np.int64)
_NO_DEMAND = Demand(*(_NONE for _ in range(12)))


def _functions(points: Points) -> tuple[Rows, list[str]]:
    """Number the functions; by point the one whose stretch it ends, the driver for what is in no run."""
    spans = points.scoped.structure.spans
    of_row = spans.get_column("function").fill_null("")
    names = of_row.unique().sort()
    number = of_row.replace_strict(names, pl.int_range(names.len(), eager=True), return_dtype=pl.Int64).to_numpy()
    run = points.run_above[np.maximum(points.owner, 0)]
    run = np.where(points.owner >= 0, run, -1)
    return np.where(run >= 0, number[run], names.len()), [*names.to_list(), DRIVER]


def _constrained(graph: Graph, source: Rows, target: Rows) -> Graph:
    """Add the edges of the program, put them in order and find the lags."""
    target = graph.piece[target]
    order = _in_order(graph, source, target)
    kept = order[graph.piece[source]] < order[target]
    source, target = source[kept], target[kept]
    # What waits for nothing after all still lies in its scope.
    alone = np.setdiff1d(np.arange(graph.first.size), target)
    root = graph.points.start_of[graph.points.root]
    alone = alone[alone != graph.piece[root]]
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


def _latest(graph: Graph, source: Rows, target: Rows) -> Rows:
    """When the last of what each piece waits for was there; its own beginning for what waits for nothing."""
    latest = np.full(graph.first.size, np.iinfo(np.int64).min)
    np.maximum.at(latest, target, graph.points.time[source])
    return np.where(latest == np.iinfo(np.int64).min, graph.began, latest)


def _in_order(graph: Graph, source: Rows, target: Rows) -> Rows:
    """Put the pieces in an order in which causes come first: by time; those of one time by what leads where."""
    began, cause = graph.began, graph.piece[source]
    rank = np.zeros(graph.first.size, dtype=np.int64)
    tied = np.flatnonzero((began[cause] == began[target]) & (cause != target))
    for _ in range(_ROUNDS):
        later = rank[cause[tied]] >= rank[target[tied]]
        if not later.any():
            break
        np.maximum.at(rank, target[tied][later], rank[cause[tied]][later] + 1)
    rank += 1
    rank[graph.piece[graph.points.start_of[graph.points.root]]] = 0
    order = np.empty(rank.size, dtype=np.int64)
    order[np.lexsort((rank, began))] = np.arange(rank.size)
    return order


def _demand(graph: Graph) -> Demand:
    """Find who takes slots: the runs of tasks, but for their waits. (Actors hold theirs as long as they live.)"""
    points, structure = graph.points, graph.points.scoped.structure
    rows = points.rows[:-1]
    rows = rows[structure.is_run[rows] & (points.runs.actor[rows] < 0) & (points.scoped.parent[rows] >= 0)]
    rows = rows[points.scoped.end[rows] > points.scoped.start[rows]]
    submit = points.scoped.parent[rows]
    amount = cpu_demands(structure.spans.get_column("attributes").gather(submit))
    rows, submit, amount = rows[amount > 0], submit[amount > 0], amount[amount > 0]
    start = graph.piece[points.start_of[rows]]
    over = submit_edges(points, rows)[0]
    over = np.where(graph.order[graph.piece[over]] < graph.order[start], over, points.start_of[points.root])
    element = np.full(points.start_of.size, -1, dtype=np.int64)
    element[rows] = np.arange(rows.size)
    ended, begun = rests(graph, rows)
    blocked = graph.ready[ended] > points.time[begun]
    ended, begun = ended[blocked], begun[blocked]
    return Demand(
        run=rows,
        amount=amount,
        ready=graph.ready[start],
        released=(graph.ready[start] > points.time[over]).astype(np.int64),
        submit=over,
        submitted=points.time[over],
        start=points.scoped.start[rows],
        end=points.scoped.end[rows],
        pause_of=element[points.flow[begun]],
        pause_start=points.time[begun],
        pause_end=graph.ready[ended],
        pause_point=begun,
    )


def rests(graph: Graph, runs: Rows) -> tuple[Rows, Rows]:
    """Find where runs wait for others within their own flow: the pieces after that, and the points where it begins.

    Those are waits and, where none were recorded, the joins that are inferred.
    """
    points = graph.points
    holds = np.zeros(points.start_of.size, dtype=np.bool_)
    holds[runs] = True
    waits = points.rows[:-1]
    waits = waits[points.runs.is_wait[waits] & holds[points.head[waits]] & (points.head[waits] != waits)]
    ended, begun = graph.piece[points.end_of[waits]], points.start_of[waits]
    kept = (graph.first[ended] == points.end_of[waits]) & (graph.piece[begun] == ended - 1)
    guests = np.flatnonzero((points.kind == GUEST) & holds[points.flow])
    return (
        np.concatenate([ended[kept], graph.piece[guests]]),
        np.concatenate([begun[kept], guests - 1]),
    )


def _slotted(graph: Graph) -> Graph:
    """Add an edge for every slot that somebody waited for, and take it out of the lags."""
    source, target = slot_edges(graph.points)
    target = graph.piece[target]
    if graph.slots is not None:
        source, target = _granted(graph, graph.slots, source, target)
    kept = graph.order[graph.piece[source]] < graph.order[target]
    kept &= graph.points.time[source] > graph.ready[target]
    source, target = source[kept], target[kept]
    freed = np.maximum(_latest(graph, source, target), graph.ready)
    waited = np.zeros(graph.first.size, dtype=np.bool_)
    waited[target] = True
    if graph.slots is not None:
        pieces = graph.piece[graph.points.start_of[graph.demand.run]]
        queued = ~graph.slots.jumped
        freed[pieces[queued]] = graph.slots.granted[queued]
        waited[pieces[queued]] = True
    lag = np.where(waited, graph.began - freed, graph.lag)
    return replace(with_edges(graph, source, target, of_slot=True), lag=lag)


def _granted(graph: Graph, slots: Slots, source: Rows, target: Rows) -> tuple[Rows, Rows]:
    """Give the edges from what made room for a run to its start; those given only for runs that jumped the queue."""
    points, demand = graph.points, graph.demand
    start = graph.piece[points.start_of[demand.run]]
    by_run, by_wait = np.flatnonzero(slots.by_run >= 0), np.flatnonzero(slots.by_wait >= 0)
    stay = np.isin(target, start[slots.jumped])
    return (
        np.concatenate(
            [
                source[stay],
                points.end_of[demand.run[slots.by_run[by_run]]],
                demand.pause_point[slots.by_wait[by_wait]],
            ]
        ),
        np.concatenate([target[stay], start[by_run], start[by_wait]]),
    )


def as_it_was(graph: Graph) -> Graph:
    """Give the constraints with every place in a worker process as it was, also where slots do not explain it."""
    source, target = slot_edges(graph.points)
    target = graph.piece[target]
    kept = graph.order[graph.piece[source]] < graph.order[target]
    kept &= graph.points.time[source] > graph.began[target] - graph.lag[target]
    graph = with_edges(graph, source[kept], target[kept], of_slot=True)
    latest = _latest(graph, graph.source, graph.target)
    return replace(graph, lag=graph.began - latest, slots=None)


def with_edges(graph: Graph, source: Rows, target: Rows, *, of_slot: bool = False) -> Graph:
    """Add edges from points to pieces that come later; the lags stay as they are."""
    all_source, all_target = np.concatenate([graph.source, source]), np.concatenate([graph.target, target])
    by_order = np.argsort(graph.order[all_target], kind="stable")
    return replace(
        graph,
        source=all_source[by_order],
        target=all_target[by_order],
        delay=np.concatenate([graph.delay, np.zeros(source.size, dtype=np.int64)])[by_order],
        of_slot=np.concatenate([graph.of_slot, np.full(source.size, of_slot)])[by_order],
    )
