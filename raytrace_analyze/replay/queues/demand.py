"""Who takes slots in a scope, from when until when, and where they rest meanwhile."""

import numpy as np

from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.program_order.edges import submit_edges
from raytrace_analyze.replay.program_order.event_order import INFERRED_JOIN
from raytrace_analyze.replay.slots.given_out import Demand
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.asked_resources import asked_cpus


def find_demand(graph: Graph) -> Demand:
    """Find who takes slots: the runs of tasks, but for their waits. (Actors hold theirs as long as they live.)"""
    events, structure = graph.events, graph.events.scoped.structure
    rows = events.rows[:-1]
    rows = rows[structure.is_run[rows] & (events.runs.actor[rows] < 0) & (events.scoped.parent[rows] >= 0)]
    rows = rows[events.scoped.end[rows] > events.scoped.start[rows]]
    amount = asked_cpus(structure, rows)
    rows, amount = rows[amount > 0], amount[amount > 0]
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
