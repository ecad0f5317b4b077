"""Whose turn it is on an actor: how many of its calls may run at once, in groups, and when a turn came free.

On an event loop one call executes at a time, whatever the limit of open ones; one that is suspended lets others go on.
"""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import CONCURRENCY_GROUP, MAX_CONCURRENCY, ON_EVENT_LOOP, told
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.groups import Timed, group_sorted, latest_last
from raytrace_analyze.trace.numbering import number_pairs
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.suspensions import find_suspensions


@frozen
class Turns:
    """Who can have kept others from their turn."""

    lane: RowIds
    """By row: a number for the actor and the group of a run on an actor, -1 for other spans."""
    limit: RowIds
    """By lane: how many may be open at once; where nobody says, the most that were."""
    is_known: Flags
    """By lane: whether that was told, or never more than one ran at a time."""
    on_loop: Flags
    """By lane: its calls share an event loop."""
    freed: Timed
    """By lane: when a turn came free, and the runs that had it: they ended, or were suspended."""


def find_turns(runs: Runs) -> Turns:
    """Read the turns of all actors of a table."""
    structure, spans = runs.structure, runs.structure.spans
    rows = np.flatnonzero(runs.actor >= 0)
    about = spans.lazy().select("actor_id", "attributes")
    told_of = (
        about.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
        .filter(pl.col("row").is_in(pl.lit(pl.Series(rows)).implode()))
        .select(
            "row",
            key=pl.format("{} {}", "actor_id", told(pl.col("attributes"), CONCURRENCY_GROUP).fill_null("")),
            limit=told(pl.col("attributes"), MAX_CONCURRENCY).cast(pl.Int64, strict=False).fill_null(0),
            on_loop=(told(pl.col("attributes"), ON_EVENT_LOOP) == "true").fill_null(value=False),
        )
        .collect()
    )
    keys = pl.repeat(None, spans.height, dtype=pl.String, eager=True).scatter(rows, told_of.get_column("key"))
    lane, lanes = number_pairs(structure, keys, structure.is_run)
    limit, on_loop = np.zeros(lanes, dtype=np.int64), np.zeros(lanes, dtype=np.bool_)
    np.maximum.at(limit, lane[rows], told_of.get_column("limit").to_numpy())
    np.logical_or.at(on_loop, lane[rows], told_of.get_column("on_loop").to_numpy())
    is_serial = np.zeros(lanes, dtype=np.bool_)
    is_serial[lane[rows]] = runs.serial_actor[runs.actor[rows]]
    is_known = (limit > 0) | is_serial
    most = _most_open(runs, rows, lane, lanes)
    limit = np.where(limit > 0, limit, np.where(is_serial, 1, most))
    freed = _freed(runs, rows, lane, limit, on_loop)
    return Turns(lane, limit, is_known, on_loop, freed)


def _open_before(runs: Runs, rows: RowIds, lane: RowIds) -> RowIds:
    """Count for each run how many of its lane were open right before it ended, itself among them if it took time."""
    start, end = runs.structure.start[rows], runs.structure.end[rows]
    of = lane[rows]
    begun, over = _places(of, start), _places(of, end)
    return _before(begun, of, end) - _before(over, of, end)


def _places(lane: RowIds, times: Nanos) -> tuple[RowIds, Nanos]:
    order = np.lexsort((times, lane))
    return lane[order], times[order]


def _before(sorted_by_lane: tuple[RowIds, Nanos], lane: RowIds, time: Nanos) -> RowIds:
    """Count the times of each lane that are earlier than those asked about."""
    lanes, times = sorted_by_lane
    first = np.searchsorted(lanes, lane)
    # One merge of both serves all: what is asked comes before what happens at that very time.
    both_lane, both_time = np.concatenate([lanes, lane]), np.concatenate([times, time])
    happens = np.repeat([1, 0], [lanes.size, lane.size])
    order = np.lexsort((happens, both_time, both_lane))
    seen = np.cumsum(order < lanes.size)
    count = np.empty(both_lane.size, dtype=np.int64)
    count[order] = seen
    return count[lanes.size :] - first


def _most_open(runs: Runs, rows: RowIds, lane: RowIds, lanes: int) -> RowIds:
    most = np.ones(lanes, dtype=np.int64)
    if rows.size:
        np.maximum.at(most, lane[rows], _open_before(runs, rows, lane))
    return most


def _freed(runs: Runs, rows: RowIds, lane: RowIds, limit: RowIds, on_loop: Flags) -> Timed:
    """Group by lane the ends of runs that left it full, and on event loops all ends and suspensions."""
    structure = runs.structure
    frees = (_open_before(runs, rows, lane) >= limit[lane[rows]]) | on_loop[lane[rows]]
    ended = rows[frees]
    _, suspended, paused = find_suspensions(runs)
    kept = on_loop[lane[suspended]] if suspended.size else np.zeros(0, dtype=np.bool_)
    members = np.concatenate([ended, suspended[kept]])
    times = np.concatenate([structure.end[ended], paused[kept]])
    order = latest_last(times, (-structure.start[members],), lambda some: structure.id_ranks(members[some]))
    members, times = members[order], times[order]
    return group_sorted(lane[members], limit.size, members, times)
