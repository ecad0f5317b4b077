"""What waits waited for, and when that was there: results, items of generators, what did not come in time."""

import json
from bisect import bisect_right
from typing import Any

import numpy as np

from raytrace_analyze.names.attributes import ITEM, ITEM_READY, ITEMS
from raytrace_analyze.sampled.unanswered import about_rows, runs_instead, unanswered_runs
from raytrace_analyze.table.lineage import Nanos, RowIds, flags
from raytrace_analyze.trace.asof import latest_until, members_at, times_at
from raytrace_analyze.trace.groups import Timed, group_by_time, group_sorted, latest_last, positions
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.waits.placement import find_room_makers

_About = dict[str, Any]


def find_waited(runs: Runs) -> Timed:
    """Give by wait the runs that it waited for, each with the time (ns) at which what it waited for was there.

    That is the end of the run; of a generator's, where the wait was for an item, when that was ready. A wait that came
    back from a generator that still ran, nobody says with which item, came back with one that was ready by then. A wait
    that timed out, or is open, waited for what it did not get, too; one that was given up as something else came for
    that; one for a placement group for what made room.
    """
    structure = runs.structure
    waits = positions(runs.is_wait)
    texts = structure.spans.get_column("attributes").gather(waits)
    items = waits[flags(texts.str.contains(f'"{ITEM}"', literal=True))]
    unanswered = _being_created(runs, *unanswered_runs(structure, waits))
    besides = (unanswered, runs_instead(structure, waits), structure.waited_besides)
    ended = [(*pairs, structure.end[pairs[1]]) for pairs in besides]
    late_wait, late_run, late_there = map(np.concatenate, zip(*ended, find_room_makers(runs), strict=True))
    wait = np.repeat(np.arange(structure.start.size), np.diff(runs.ready.first))
    run = runs.ready.members
    if items.size == 0 and late_wait.size == 0 and not (structure.end[run] > structure.end[wait]).any():
        return runs.ready
    there = _items_ready(runs, items, wait, run)
    wait, run = np.concatenate([wait, late_wait]), np.concatenate([run, late_run])
    there = np.concatenate([there, late_there])
    order = latest_last(there, (-structure.start[run],), lambda some: structure.id_ranks(run[some]))
    return group_sorted(wait[order], structure.start.size, run[order], there[order])


def _being_created(runs: Runs, wait: RowIds, run: RowIds) -> tuple[RowIds, RowIds]:
    """Put in place of calls that did not come in time, as their actors were still being created, these creations.

    Calls that nobody waited for later were given up.
    """
    start, end = runs.structure.start, runs.structure.end
    is_call = (runs.actor[run] >= 0) & ~runs.is_creation[run] & runs.claimed[run]
    late = np.flatnonzero(is_call & (start[run] >= end[wait]))
    if late.size == 0:
        return wait, run
    made = np.flatnonzero(runs.is_creation)
    created = group_by_time(runs.actor[made], runs.actor.size, made, end[made])
    found = latest_until(created, runs.actor[run[late]], start[run[late]])
    creation = members_at(created, found)
    still = (creation >= 0) & (times_at(created, found) > end[wait[late]])
    run = run.copy()
    run[late[still]] = creation[still]
    return wait, run


def _items_ready(runs: Runs, items: RowIds, wait: RowIds, run: RowIds) -> Nanos:
    """Give for pairs of waits and runs when the run had ended, or had the item that was waited for."""
    structure = runs.structure
    number = np.full(structure.start.size, -1, dtype=np.int64)
    for row, about in about_rows(structure, items):
        item = about.get(ITEM)
        number[row] = item if isinstance(item, int) and 0 <= item < 2**62 else -1
    there = structure.end[run]
    pairs = positions((number[wait] >= 0) | (structure.end[run] > structure.end[wait]))
    told = {row: _times(about) for row, about in about_rows(structure, np.unique(run[pairs]))}
    for pair in pairs.tolist():
        row = int(run[pair])
        every, times = told[row]
        shift = 0 if runs.clock_shift is None else int(runs.clock_shift[row])
        asked = int(number[wait[pair]])
        # Of items between those that are told the next one's time is the latest that it can have been.
        place = -(-asked // every) if asked >= 0 else bisect_right(times, int(structure.end[wait[pair]]) - shift) - 1
        if 0 <= place < len(times):
            there[pair] = min(max(times[place] + shift, int(structure.start[row])), int(there[pair]))
    return there


def _times(about: _About) -> tuple[int, list[int]]:
    """Read when a generator's items were ready: each how-manieth is told, and the times (ns); none if unreadable."""
    try:
        times = [int(time) for time in json.loads(about[ITEM_READY])]
        count = int(about[ITEMS])
    except (KeyError, TypeError, ValueError, RecursionError, OverflowError):
        return 1, []
    every = 1
    while times and -(-count // every) > len(times):
        every *= 2
    return every, times
