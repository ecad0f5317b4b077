"""The critical path of a replayed job, by function."""

import numpy as np
import polars as pl

from raytrace_analyze.names.functions import NOT_TRACED
from raytrace_analyze.replay.passes.forward import Replay
from raytrace_analyze.replay.program_order.event_order import END, START
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.groups import numbers_within


def critical_functions(after: Replay) -> pl.DataFrame:
    """Sum up by function what decides how long a replayed job takes.

    Columns: `function`; `self_ns`, `submit_ns`, `queue_ns`, `fetch_ns`, `total_ns`; `share` of the makespan (0 to 1).
    The one with the most first; together they are the makespan.
    """
    graph = after.graph
    stretch, lagging = critical_stretches(after)
    count = len(graph.functions)

    def total(events: RowIds, weights: RowIds) -> pl.Series:
        sums = np.bincount(graph.function[events], weights, minlength=count)
        return pl.Series(np.rint(sums).astype(np.int64))

    # Of what nobody has a span for it is not known that it is no work.
    works = graph.works[stretch] | (graph.function[stretch] == graph.functions.index(NOT_TRACED))
    barrier = graph.first[lagging]
    is_start = graph.events.kind[barrier] == START
    is_wait = graph.events.kind[barrier] == END
    # More than the lag where a slot was waited for: it is given back once results are stored.
    awaited = after.last[lagging]
    lag = after.time[barrier] - np.where(awaited >= 0, after.time[awaited], graph.start_ns)
    columns = {
        "self_ns": total(stretch[works], after.length[stretch[works]]),
        "submit_ns": total(stretch[~works], after.length[stretch[~works]]),
        "queue_ns": total(barrier[is_start], lag[is_start]),
        "fetch_ns": total(barrier[is_wait], lag[is_wait]),
    }
    frame = pl.DataFrame({"function": pl.Series(graph.functions, dtype=pl.String), **columns})
    return (
        frame.with_columns(total_ns=pl.sum_horizontal(*columns))
        .with_columns(share=pl.col("total_ns") / max(after.makespan_ns, 1))
        .filter(pl.col("total_ns") > 0)
        .sort("total_ns", "function", descending=[True, False])
    )


def critical_stretches(after: Replay) -> tuple[RowIds, RowIds]:
    """Go from the end back to the start; give the events whose stretches are on the way, and the activities."""
    graph = after.graph
    first, activity, last = graph.first, graph.activity, after.last
    begins, ends, activities = [], [], []
    event = graph.horizon
    while event >= 0:
        on = int(activity[event])
        begins.append(int(first[on]) + 1)
        ends.append(event + 1)
        activities.append(on)
        event = int(last[on])
    begin, end = np.array(begins), np.array(ends)
    size = np.maximum(end - begin, 0)
    return np.repeat(begin, size) + numbers_within(size), np.array(activities)
