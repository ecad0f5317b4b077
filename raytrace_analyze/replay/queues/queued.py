"""Which actors' calls are played as a queue: those whose observed turns such a queue explains."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from raytrace_analyze.names.attributes import UNIT
from raytrace_analyze.replay.graph import Graph, latest_source
from raytrace_analyze.replay.program_order.event_order import START
from raytrace_analyze.replay.slots.given_out import Demand
from raytrace_analyze.replay.slots.lanes import Lanes
from raytrace_analyze.replay.slots.slot_model import SlotModel, find_slots
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds

Queue = tuple[Demand, SlotModel]
"""Runs that stand in one queue, and when each had its turn."""
_MOST_CALLS = 20_000
"""Of more calls the order stays as it was: giving out their turns anew would take seconds."""
_MOMENT_NS = 1_000_000
"""A turn that came free that much earlier was not waited for."""


def with_lanes(graph: Graph, resources: Sequence[Queue] = ()) -> Graph:
    """Find the calls that can be played as queues for their turns, and mark the edges that this replaces.

    `resources` are the queues of tasks for what they ask for besides CPUs.
    """
    events, turns = graph.events, graph.events.waiting.turns
    rows = events.rows[:-1]
    rows = rows[events.scoped.structure.is_run[rows] & (events.scoped.parent[rows] >= 0)]
    rows = rows[(turns.lane[rows] >= 0) & ~events.runs.is_creation[rows]]
    rows = rows[turns.is_known[turns.lane[rows]]]
    rows = rows[_has_choice(graph, rows)]
    is_order, parts = np.zeros(graph.source.size, dtype=np.bool_), list(resources)
    if 0 < rows.size <= _MOST_CALLS:
        is_order, ready = _orders(graph, rows)
        parts += [
            part
            for lane in np.unique(turns.lane[rows]).tolist()
            if (part := _lane(graph, rows[turns.lane[rows] == lane], ready, int(turns.limit[lane]))) is not None
        ]
    if not parts:
        return graph
    demands, models = [demand for demand, _ in parts], [model for _, model in parts]
    runs = np.concatenate([demand.run for demand in demands])
    lanes = Lanes(
        run=runs,
        lane=np.repeat(np.arange(len(parts)), [demand.run.size for demand in demands]),
        capacity=np.array([model.capacity for model in models], dtype=np.int64),
        amount=np.concatenate([np.minimum(demand.amount, model.capacity) for demand, model in parts]),
        keeps=np.concatenate([demand.end for demand in demands]) - events.scoped.end[runs],
        lag=events.scoped.start[runs] - np.concatenate([model.granted for model in models]),
        put_back=np.concatenate([model.priority for model in models]),
    )
    queued = np.zeros(graph.first.size, dtype=np.bool_)
    queued[graph.activity[events.start_of[runs]]] = True
    return replace(graph, lanes=lanes, of_turn=(is_order | graph.of_slot) & queued[graph.target])


def _has_choice(graph: Graph, rows: RowIds) -> Flags:
    """Tell the calls of actors for which it is open who is first: of several callers, or with several turns."""
    events, turns = graph.events, graph.events.waiting.turns
    lane, caller = turns.lane[rows], events.head[events.scoped.parent[rows]]
    pairs = np.unique(np.stack([lane, caller]), axis=1)
    callers = np.bincount(pairs[0], minlength=turns.limit.size) if rows.size else np.zeros(turns.limit.size)
    calls = np.bincount(lane, minlength=turns.limit.size)
    chosen: Flags = (callers[lane] > 1) | ((turns.limit[lane] > 1) & (calls[lane] > turns.limit[lane]))
    return chosen


def _orders(graph: Graph, rows: RowIds) -> tuple[Flags, Nanos]:
    """Tell the edges that stand for the order of turns of calls; and by activity when all else was there.

    On an event loop one call executes at a time: where that is all that calls wait for, who did so still does.
    """
    events, turns = graph.events, graph.events.waiting.turns
    lane = np.full(events.start_of.size, -1, dtype=np.int64)
    lane[rows] = turns.lane[rows]
    barrier = graph.first[graph.target]
    before, after = events.row[graph.source], events.row[barrier]
    same = (lane[before] >= 0) & (lane[before] == lane[after]) & (events.kind[barrier] == START) & (before != after)
    calls = np.bincount(turns.lane[rows], minlength=turns.limit.size)
    is_free = turns.on_loop & (calls <= turns.limit)
    ready = latest_source(graph, graph.source[~same], graph.target[~same])
    waited = same & is_free[np.maximum(lane[after], 0)]
    waited &= events.time[graph.source] > ready[graph.target] - _MOMENT_NS
    is_order = same & ~waited
    return is_order, latest_source(graph, graph.source[~is_order], graph.target[~is_order])


def _lane(graph: Graph, calls: RowIds, ready: Nanos, limit: int) -> Queue | None:
    """Give the calls of one lane, and when each had its turn; None where a queue does not explain what was seen."""
    events = graph.events
    starts = graph.activity[events.start_of[calls]]
    order = np.argsort(starts, kind="stable")
    calls, there = calls[order], ready[starts[order]]
    return explained(graph, calls, np.full(calls.size, UNIT), there, events.scoped.end[calls], limit)


def explained(graph: Graph, runs: RowIds, amount: RowIds, ready: Nanos, end: Nanos, limit: int | None) -> Queue | None:
    """Say when each of some runs had what it asked for; None where a queue does not explain what was seen.

    `amount` is what each asks for, in ten-thousandths, of `limit` in all (None: told from the times); `ready` is when
    all else was there, `end` when it gave that back.
    """
    none, zeros = np.empty(0, dtype=np.int64), np.zeros(runs.size, dtype=np.int64)
    start = graph.events.scoped.start[runs]
    if (end <= start).any() or (ready > start).any():
        return None
    demand = Demand(runs, amount, ready, zeros, zeros, ready, start, end, none, none, none, none)
    model = find_slots(demand, limit)
    return None if model is None or model.jumped.any() else (demand, model)
