"""A job's constraints as they would be if its program were written otherwise.

Each function gives a changed copy of a graph, to be replayed in place of it. None of them leads back in time: what is
moved is moved to where it could have been, so that causes still come first in the order of the activities.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from raytrace_analyze.replay.graph import Graph, with_edges, without_edges
from raytrace_analyze.replay.program_order.event_order import START
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, nearest_ancestor


def submit_earlier(graph: Graph, submits: RowIds, anchors: RowIds) -> Graph:
    """Move submits (rows, in order of time) to earlier events of their flow, one after the other there.

    What a submit takes it takes at its new place, and no more at the old one. Only waits are moved out of its way:
    what the flow does itself in between may be what makes the arguments, and comes before it as it did.
    """
    events = graph.events
    lengths = _own_lengths(graph, submits)
    fixed = graph.fixed.copy()
    fixed[np.isin(events.owner, submits)] = 0
    order = np.argsort(anchors, kind="stable")
    is_first = np.diff(anchors[order], prepend=-1) != 0
    before = np.maximum.accumulate(np.where(is_first, np.cumsum(lengths[order]) - lengths[order], 0))
    delay = np.empty(submits.size, dtype=np.int64)
    delay[order] = np.cumsum(lengths[order]) - before
    delay += _worked(graph, anchors, events.start_of[submits])
    follows = np.minimum(anchors + 1, fixed.size - 1)
    follows = np.where(graph.events.is_barrier[follows], anchors, follows)
    np.add.at(fixed, follows, lengths)
    number = np.full(events.time.size, -1, dtype=np.int64)
    number[events.end_of[submits]] = np.arange(submits.size)
    # Only what is submitted moves with the submit; the next thing in its flow stays.
    starts_run = (events.kind[graph.first] == START)[graph.target] & (number[graph.source] >= 0)
    moved = number[graph.source[starts_run]]
    source, delays = graph.source.copy(), graph.delay.copy()
    source[starts_run] = anchors[moved]
    delays[starts_run] += delay[moved]
    submit, submitted = graph.demand.submit.copy(), number[graph.demand.submit]
    submit[submitted >= 0] = anchors[submitted[submitted >= 0]]
    return replace(graph, fixed=fixed, source=source, delay=delays, demand=replace(graph.demand, submit=submit))


def wait_for_others(graph: Graph, waits: RowIds, runs: RowIds) -> Graph:
    """Let each wait (a row) come back with the result of another run in place of those that it came back with."""
    graph = without_edges(graph, _into_waits(graph, waits))
    return with_edges(graph, graph.events.end_of[runs], _ends(graph, waits))


def wait_for_nothing(graph: Graph, waits: RowIds) -> Graph:
    """Leave waits (rows) out of the program: they take no time, and nobody waits in them."""
    ends = _ends(graph, waits)
    lag = graph.lag.copy()
    lag[ends] = 0
    fixed = graph.fixed.copy()
    fixed[np.isin(graph.events.owner, waits)] = 0
    return replace(without_edges(graph, _into_waits(graph, waits)), lag=lag, fixed=fixed)


def take_no_time(graph: Graph, rows: RowIds) -> Graph:
    """Let spans (rows), with all that is nested in them, take no time."""
    events = graph.events
    chosen = np.zeros(events.head.size, dtype=np.bool_)
    chosen[rows] = True
    nested = np.append(events.scoped.structure.nest_parent, np.full(chosen.size - events.scoped.span_count, -1))
    inside = np.flatnonzero(chosen | (nearest_ancestor(nested, chosen) >= 0))
    graph = wait_for_nothing(graph, inside[events.is_wait[inside] & (events.end_of[inside] >= 0)])
    fixed = graph.fixed.copy()
    fixed[np.isin(events.owner, inside)] = 0
    return replace(graph, fixed=fixed)


def make_room(graph: Graph, routes: RowIds) -> Graph:
    """Let requests of Ray Serve (rows of what routes them) find room at a replica at once."""
    events, room = graph.events, graph.events.waiting.room
    if room is None:
        return graph
    routes = routes[room.handler[routes] >= 0]
    routes = routes[events.start_of[room.send[routes]] >= 0]
    send, handler = room.send[routes], room.handler[routes]
    sent = graph.activity[events.start_of[send]]
    waits_for = np.full(graph.first.size, -1, dtype=np.int64)
    waits_for[sent] = events.end_of[handler]
    lag = graph.lag.copy()
    lag[sent] = 0
    return replace(without_edges(graph, graph.source == waits_for[graph.target]), lag=lag)


def depend_on(graph: Graph, runs: RowIds, results: RowIds) -> Graph:
    """Let runs (rows) start only when others, parallel to them, have ended."""
    return with_edges(graph, graph.events.end_of[results], graph.activity[graph.events.start_of[runs]])


def shorten_lags(graph: Graph, runs: RowIds, by_ns: Nanos) -> Graph:
    """Let runs (rows) start so much sooner after all that they wait for is there; at most at once."""
    lag, activities = graph.lag.copy(), graph.activity[graph.events.start_of[runs]]
    lag[activities] -= np.minimum(by_ns, lag[activities])
    lanes = None if graph.lanes is None else graph.lanes.sooner(runs, by_ns)
    return replace(graph, lag=lag, lanes=lanes)


def fetch_at_once(graph: Graph, runs: RowIds, by_ns: Nanos) -> Graph:
    """Let runs (rows) have their arguments so much sooner after these were made, before or after they ask for slots."""
    starts = graph.activity[graph.events.start_of[runs]]
    sooner = np.zeros(graph.first.size, dtype=np.int64)
    sooner[starts] = by_ns
    cut = np.minimum(graph.delay, sooner[graph.target])
    done = np.zeros(graph.first.size, dtype=np.int64)
    np.maximum.at(done, graph.target, cut)
    return shorten_lags(replace(graph, delay=graph.delay - cut), runs, by_ns - done[starts])


def scale_work(graph: Graph, runs: RowIds, factor: npt.NDArray[np.float64]) -> Graph:
    """Let the own work of runs (rows) take `factor` times as long."""
    return _scaled(graph, work_of_runs(graph), runs, factor)


def scale_spans(graph: Graph, rows: RowIds, factor: float | npt.NDArray[np.float64]) -> Graph:
    """Let what spans (rows) do themselves take `factor` times as long."""
    return _scaled(graph, graph.events.owner, rows, factor)


def shorten_stretches(graph: Graph, events: RowIds, by_ns: Nanos) -> Graph:
    """Let the stretches before events take so much less time; at most all of it."""
    fixed = graph.fixed.copy()
    np.subtract.at(fixed, events, by_ns)
    return replace(graph, fixed=np.maximum(fixed, 0))


def shorten_waits(graph: Graph, waits: RowIds, factor: npt.NDArray[np.float64]) -> Graph:
    """Let waits (rows) take `factor` times as long to come back once all that they wait for is there."""
    lag, ends = graph.lag.copy(), _ends(graph, waits)
    lag[ends] = np.rint(lag[ends] * factor).astype(np.int64)
    return replace(graph, lag=lag)


def ask_for_cpus(graph: Graph, runs: RowIds, amount: int) -> Graph:
    """Let runs (rows) ask for so many ten-thousandths of a CPU."""
    demand = graph.demand
    return replace(graph, demand=replace(demand, amount=np.where(np.isin(demand.run, runs), amount, demand.amount)))


def is_driver_work(graph: Graph) -> Flags:
    """Tell by event whether the stretch before it is the driver's own work."""
    of_driver: Flags = graph.works & (graph.events.run_above[np.maximum(graph.events.owner, 0)] < 0)
    return of_driver


def take_turns_of(graph: Graph, methods: RowIds, copies: int) -> Graph:
    """Share out the calls of an actor (rows, in order of start) over so many copies of it, in turn."""
    events = graph.events
    ends, starts = events.end_of[methods], graph.activity[events.start_of[methods]]
    graph = _without_turns(graph, methods, ends, starts)
    if methods.size <= copies:
        return graph
    kept = graph.order[graph.activity[ends[:-copies]]] < graph.order[starts[copies:]]
    return with_edges(graph, ends[:-copies][kept], starts[copies:][kept])


def execute_in_turn(graph: Graph, methods: RowIds, executed_ns: Nanos) -> Graph:
    """Let the calls on an event loop (rows, in order of start) overlap but for what each executes itself."""
    events = graph.events
    starts = events.start_of[methods]
    activities = graph.activity[starts]
    graph = _without_turns(graph, methods, events.end_of[methods], activities)
    kept = graph.order[activities[:-1]] < graph.order[activities[1:]]
    return with_edges(graph, starts[:-1][kept], activities[1:][kept], delay=executed_ns[:-1][kept])


def share_out(graph: Graph, methods: RowIds, actors: int) -> Graph:
    """Give each call (rows) to the one of so many actors that is free first, in the order in which they started."""
    events = graph.events
    starts = graph.activity[events.start_of[methods]]
    methods = methods[np.argsort(graph.order[starts], kind="stable")]
    ends, starts = events.end_of[methods], graph.activity[events.start_of[methods]]
    graph = _without_turns(graph, methods, ends, starts)
    free = [(0, -1)] * actors  # since when, and after which call
    before = np.full(methods.size, -1, dtype=np.int64)
    took = (events.time[ends] - events.time[events.start_of[methods]]).tolist()
    over, begins = graph.order[graph.activity[ends]].tolist(), graph.order[starts].tolist()
    for call, length in enumerate(took):
        # Causes have to stay first in the order of the activities.
        possible = [each for each in sorted(free) if each[1] < 0 or over[each[1]] < begins[call]]
        chosen = (possible or sorted(free))[0]
        before[call] = chosen[1] if possible else -1
        free[free.index(chosen)] = (chosen[0] + length, call)
    later = np.flatnonzero(before >= 0)
    return with_edges(graph, ends[before[later]], starts[later])


def _without_turns(graph: Graph, methods: RowIds, ends: RowIds, starts: RowIds) -> Graph:
    """Take out the constraints that lead from the ends of calls (events) to the starts of others (activities)."""
    graph = replace(graph, lanes=None if graph.lanes is None else graph.lanes.without(methods))
    is_end = np.zeros(graph.events.time.size, dtype=np.bool_)
    is_end[ends] = True
    is_start = np.zeros(graph.first.size, dtype=np.bool_)
    is_start[starts] = True
    return without_edges(graph, is_end[graph.source] & is_start[graph.target])


def work_of_runs(graph: Graph) -> RowIds:
    """Give by event the run (a row) whose own work the stretch before it is, -1 for the driver's and what is none."""
    above = graph.events.run_above[np.maximum(graph.events.owner, 0)]
    return np.where(graph.works & (graph.events.owner >= 0), above, -1)


def _worked(graph: Graph, since: RowIds, until: RowIds) -> Nanos:
    """Give how long a flow did something itself between two of its events each; nothing for those of two flows."""
    work = np.cumsum(np.where(graph.works, graph.fixed, 0))
    flow = graph.events.flow
    return np.where(flow[since] == flow[until], np.maximum(work[until] - work[since], 0), 0)


def _own_lengths(graph: Graph, rows: RowIds) -> Nanos:
    lengths = np.zeros(graph.events.start_of.size, dtype=np.int64)
    owned = graph.events.owner >= 0
    np.add.at(lengths, graph.events.owner[owned], graph.fixed[owned])
    return lengths[rows]


def _scaled(graph: Graph, row: RowIds, rows: RowIds, factor: float | npt.NDArray[np.float64]) -> Graph:
    """Scale the stretches of some rows; `row` tells by event whose it is, -1: nobody's."""
    by_row = np.ones(graph.events.start_of.size)
    by_row[rows] = factor
    by_point = np.where(row >= 0, by_row[np.maximum(row, 0)], 1.0)
    return replace(graph, fixed=np.where(by_point == 1, graph.fixed, np.rint(graph.fixed * by_point)).astype(np.int64))


def _ends(graph: Graph, waits: RowIds) -> Nanos:
    return graph.activity[graph.events.end_of[waits]]


def _into_waits(graph: Graph, waits: RowIds) -> Flags:
    """Tell the edges by which waits wait for others, not for their own flow."""
    is_wait = np.zeros(graph.first.size, dtype=np.bool_)
    is_wait[_ends(graph, waits)] = True
    flow = graph.events.flow
    found: Flags = is_wait[graph.target] & (flow[graph.source] != flow[graph.first[graph.target]])
    return found
