"""Retries that wait for the next time at which Ray looks for tasks to be made again: once a second.

Whoever submitted a task does so, by a clock of its own. When that looks first after a failure is chance: the first
retry of a task waits as long as it did. From then on the looks are a second apart: an attempt that fails sooner is made
again at an earlier one of them, or at the same.
"""

from dataclasses import replace

import numpy as np

from raytrace_analyze.replay.graph import Graph, Ticks
from raytrace_analyze.schema import STATE_COLUMNS
from raytrace_analyze.table.lineage import Nanos, RowIds

PERIOD_NS = 1_000_000_000
_LATE_NS = 50_000_000
"""A delay that is longer than a period by more than this is no wait for the next look, but a back-off."""


def with_ticks(graph: Graph) -> Graph:
    """Let retries ask for their slots only at the time at which they were submitted again, as Ray's events tell it."""
    events = graph.events
    rows = events.rows[:-1]
    rows = rows[events.scoped.structure.is_run[rows] & (events.runs.actor[rows] < 0)]
    lost, again = events.runs.next_attempts(rows)
    lost, again = lost[events.start_of[again] >= 0], again[events.start_of[again] >= 0]
    told = events.scoped.structure.spans.get_column(STATE_COLUMNS["PENDING_NODE_ASSIGNMENT"]).to_physical()
    at = told.gather(again).fill_null(0).to_numpy().astype(np.int64)
    activity = graph.activity[events.start_of[again]]
    took = at - graph.ready[activity]
    kept = (took >= 0) & (took <= graph.lag[activity]) & (took < PERIOD_NS + _LATE_NS)
    if not kept.any():
        return graph
    order = np.flatnonzero(kept)[np.argsort(at[kept], kind="stable")]
    number = np.full(events.start_of.size, -1)
    number[again[order]] = np.arange(order.size)
    ticks = Ticks(activity[order], at[order], took[order], number[lost[order]])
    ready, lag = graph.ready.copy(), graph.lag.copy()
    ready[ticks.activity] += ticks.took
    lag[ticks.activity] -= ticks.took
    return replace(
        graph, ready=ready, lag=lag, delay=graph.delay + _by_activity(graph, ticks)[graph.target], ticks=ticks
    )


def at_next_ticks(graph: Graph, time: Nanos) -> Graph:
    """Let the retries be made at the first look after all else is there, where events come at these times (ns)."""
    ticks = graph.ticks
    if ticks is None:
        return graph
    before = _by_activity(graph, ticks)
    edges = np.flatnonzero(np.isin(graph.target, ticks.activity) & ~graph.of_slot & ~graph.of_turn)
    there = np.full(graph.first.size, np.iinfo(np.int64).min)
    target = graph.target[edges]
    np.maximum.at(there, target, time[graph.source[edges]] + graph.delay[edges] - before[target])
    since = np.where(there == np.iinfo(np.int64).min, graph.began, there)[ticks.activity]
    took = ticks.took.copy()
    looked = since + took
    for one, before_it in enumerate(ticks.before.tolist()):
        if before_it >= 0:
            apart = int(looked[before_it] + ticks.at[one] - ticks.at[before_it] - since[one])
            # A look may be a moment late, so that as it was this is a little more than a period.
            is_next = 0 <= apart < PERIOD_NS + _LATE_NS
            took[one] = apart if is_next else apart % PERIOD_NS
            looked[one] = since[one] + took[one]
    if (took == ticks.took).all():
        return graph
    moved = replace(ticks, took=took)
    delay = graph.delay + (_by_activity(graph, moved) - before)[graph.target]
    return replace(graph, delay=delay, ticks=moved)


def without_ticks(graph: Graph, runs: RowIds | None = None) -> Graph:
    """Let retries be made at once: those of some runs (rows), or all of them."""
    ticks = graph.ticks
    if ticks is None:
        return graph
    gone = np.ones(ticks.activity.size, dtype=np.bool_)
    if runs is not None:
        gone = np.isin(ticks.activity, graph.activity[graph.events.start_of[runs]])
    over = Ticks(ticks.activity[gone], ticks.at[gone], ticks.took[gone], ticks.before[gone])
    number = np.where(gone, -1, np.cumsum(~gone) - 1)
    before = np.where(ticks.before >= 0, number[ticks.before], -1)[~gone]
    left = Ticks(ticks.activity[~gone], ticks.at[~gone], ticks.took[~gone], before)
    delay = graph.delay - _by_activity(graph, over)[graph.target]
    return replace(graph, delay=delay, ticks=left if left.activity.size else None)


def _by_activity(graph: Graph, ticks: Ticks) -> Nanos:
    took = np.zeros(graph.first.size, dtype=np.int64)
    took[ticks.activity] = ticks.took
    return took
