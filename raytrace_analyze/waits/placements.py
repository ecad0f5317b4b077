"""Placement groups that tasks waited for: until when each was not there, and who made room for it."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import PLACEMENT_GROUP_ID, told
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.asof import NEVER, latest_until, members_at, times_at
from raytrace_analyze.trace.numbering import number_pairs
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.placement import WITHIN_NS, GivenBack, given_back, placement_waits

_IN_GROUP = r"_group_(?:\d+_)?([0-9a-f]{12,})"
"""How Ray names the resources of a placement group."""
_FOREVER = int(np.iinfo(np.int64).max)


@frozen
class Placements:
    """Arrays by row of the table; times are ns since the epoch, NEVER where there is nothing to tell."""

    until: Nanos
    """Until when a run waited for its placement group."""
    maker: RowIds
    """Who made room for that: a task's run that gave back what it held, or the call that removed a group; -1: nobody
    known."""
    row: RowIds
    """Whose work that was: the run itself, or the span within which the call was made; -1 likewise."""
    made: Nanos
    """When: at the run's end, or at the call."""


def find_placements(runs: Runs) -> Placements | None:
    """Find them for all runs; None where none is in a placement group.

    Ray says which group a run was in, not when the group came to be. It was there when the first of its runs was given
    its worker process, and when a wait for it came back. Where that first run had to wait for a new process as well, it
    was there once somebody made room for it, or all along.
    """
    structure = runs.structure
    resources = structure.spans.get_column("required_resources")
    if resources.null_count() == len(resources):
        return None
    group, groups = number_pairs(structure, resources.str.extract(_IN_GROUP), structure.is_run)
    rows = np.flatnonzero(group >= 0)
    if rows.size == 0:
        return None
    ready, granted = _ready(runs)[rows], _granted(runs)[rows]
    number = group[rows]
    since, first = np.full(groups, _FOREVER), np.full(groups, -1, dtype=np.int64)
    np.minimum.at(since, number, ready)
    order = np.lexsort((structure.start[rows], granted))[::-1]
    first[number[order]] = rows[order]
    there = _granted(runs)[first]
    begins = _begins_process(runs)[first]
    maker, row, when, made = _makers(runs, given_back(runs, by_driver=True), first, since, there)
    is_near = (maker >= 0) & (there - when <= WITHIN_NS)
    until = np.where(begins & ~is_near, np.where(maker >= 0, when, NEVER), there)
    until = np.minimum(until, _came(runs, resources, groups, group))
    is_maker = (maker >= 0) & (is_near | begins) & (when <= until)
    waited = ready < until[number]
    led = waited & is_maker[number]
    size = structure.start.size
    found = Placements(np.full(size, NEVER), np.full(size, -1), np.full(size, -1), np.full(size, NEVER))
    found.until[rows[waited]] = until[number[waited]]
    for values, of_group in ((found.maker, maker), (found.row, row), (found.made, made)):
        values[rows[led]] = of_group[number[led]]
    return found


def _makers(
    runs: Runs, back: GivenBack, first: RowIds, since: Nanos, there: Nanos
) -> tuple[RowIds, RowIds, Nanos, Nanos]:
    """Give by group who made room last before it was there: the row, whose work it was, when, and at what time there.

    `first` is the first run of each group; `since`, when the first of its runs asked for it.
    """
    session = runs.structure.mixed_session[first]
    found = latest_until(back.freed, back.number_of(session), there)
    when = times_at(back.freed, found)
    position = np.where(when > since, members_at(back.freed, found), -1)
    known = position >= 0
    maker, row = np.full(first.size, -1), np.full(first.size, -1)
    made = np.full(first.size, NEVER)
    maker[known], row[known] = back.maker[position[known]], back.row[position[known]]
    made[known] = back.there[position[known]]
    known &= row >= 0
    return np.where(known, maker, -1), np.where(known, row, -1), np.where(known, when, NEVER), made


def _ready(runs: Runs) -> Nanos:
    """When all else was there that each run needed: its arguments, else its submit."""
    structure = runs.structure
    submitted = np.where(structure.submit >= 0, structure.end[structure.submit], structure.start)
    stamped = _times(runs, "state_pending_node_assignment")
    return np.where(stamped > NEVER, stamped, submitted)


def _granted(runs: Runs) -> Nanos:
    """When each run had its worker process."""
    submitted, running = _times(runs, "state_submitted_to_worker"), _times(runs, "state_running")
    first = np.where(submitted > NEVER, submitted, running)
    return np.where(first > NEVER, first, runs.structure.start)


def _times(runs: Runs, column: str) -> Nanos:
    values: Nanos = runs.structure.spans.get_column(column).to_physical().fill_null(NEVER).to_numpy().astype(np.int64)
    return values


def _begins_process(runs: Runs) -> Flags:
    """Tell the runs that their worker processes began with, as far as these are known."""
    worker, start = runs.worker, runs.structure.start
    known = np.flatnonzero(worker >= 0)
    earliest = np.full(int(worker.max(initial=-1)) + 1, _FOREVER)
    np.minimum.at(earliest, worker[known], start[known])
    begins = np.zeros(start.size, dtype=np.bool_)
    begins[known] = start[known] == earliest[worker[known]]
    return begins


def _came(runs: Runs, resources: pl.Series, groups: int, group: RowIds) -> Nanos:
    """Give by group when a wait for it came back for the first time, the end of time where none did."""
    structure = runs.structure
    came = np.full(groups, _FOREVER)
    waits = placement_waits(runs)
    if waits.size == 0:
        return came
    ids = told(structure.spans.get_column("attributes").gather(waits), PLACEMENT_GROUP_ID)
    named = pl.DataFrame({"id": ids, "session": structure.mixed_session[waits], "end": structure.end[waits]})
    rows = np.flatnonzero(group >= 0)
    asked = pl.DataFrame(
        {
            "id": resources.gather(rows).str.extract(_IN_GROUP),
            "session": structure.mixed_session[rows],
            "group": group[rows],
        }
    ).unique()
    for number, end in asked.join(named, on=["id", "session"]).select("group", "end").iter_rows():
        came[number] = min(int(came[number]), int(end))
    return came
