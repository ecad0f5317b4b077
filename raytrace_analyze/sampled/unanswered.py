"""What waits asked for and did not get: those that timed out, that an exception ended, or that never ended."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED_TASK_IDS, TIMED_OUT, json_of
from raytrace_analyze.table.lineage import RowIds, flags
from raytrace_analyze.trace.asof import latest_until, members_at, times_at
from raytrace_analyze.trace.groups import group_by_time
from raytrace_analyze.trace.span_arrays import Structure

GIVEN_UP = "CancelledError"
"""How the error of an `await` begins that the program gave up: by a time-out of its own, or as something else came."""
INSTEAD_WITHIN_NS = 50_000_000
"""What came so long before an `await` was given up, at most, came instead of what that was for."""
_CREATES = "f" * 16
"""What the id of the task begins with that creates an actor; the rest of it is the rest of the ids of all its calls."""


def unanswered_runs(structure: Structure, waits: RowIds) -> tuple[RowIds, RowIds]:
    """Pair some waits (rows) with the runs of the tasks that they did not get in time."""
    texts = structure.spans.get_column("attributes").gather(waits)
    asking = waits[flags(texts.str.contains(AWAITED_TASK_IDS, literal=True))]
    if asking.size == 0:
        return asking, asking
    in_vain = set(np.concatenate([_got_nothing(structure, asking), _broken_off(structure, asking)]).tolist())
    given_up = _given_up(structure, asking)
    in_vain -= set(given_up[_came_instead(structure, given_up) >= 0].tolist())
    lists: list[list[str] | None] = [None] * structure.start.size
    for row, about in about_rows(structure, asking):
        asked = about.get(AWAITED_TASK_IDS)
        is_cut = about.get(TIMED_OUT) is True or structure.in_flight[row] or row in in_vain
        if is_cut and isinstance(asked, list):
            lists[row] = [one for one in asked if isinstance(one, str)]
    return structure.runs_named(pl.Series(lists, dtype=pl.List(pl.String)))


def runs_instead(structure: Structure, waits: RowIds) -> tuple[RowIds, RowIds]:
    """Pair waits with the runs that ended them in place of what they asked for.

    Of an `await` that was given up because something else had come, that is what had come; of a wait that failed for a
    call that never started, the creation of its actor, which failed.
    """
    given_up = _given_up(structure, waits)
    other = _came_instead(structure, given_up)
    given_up, other = given_up[other >= 0], other[other >= 0]
    ready_wait, ready_run = structure.ready_runs
    pairs = pl.DataFrame({"other": other, "wait": given_up}).join(
        pl.DataFrame({"other": ready_wait, "run": ready_run}), on="other"
    )
    failed_wait, creation = _failed_creations(structure, waits)
    return (
        np.concatenate([pairs.get_column("wait").to_numpy(), failed_wait]),
        np.concatenate([pairs.get_column("run").to_numpy(), creation]),
    )


def _given_up(structure: Structure, waits: RowIds) -> RowIds:
    """Give the awaits that a program gave up without having got anything."""
    nothing = _got_nothing(structure, waits)
    return nothing[flags(structure.spans.get_column("status_message").gather(nothing).str.starts_with(GIVEN_UP))]


def _got_nothing(structure: Structure, waits: RowIds) -> RowIds:
    """Give the waits that an exception ended (Ctrl-C, an alarm, the program gave up) before anything had come."""
    failed = _failed(structure, waits)
    return failed[flags(structure.spans.get_column("ready_task_ids").gather(failed).list.len() == 0)]


def _broken_off(structure: Structure, waits: RowIds) -> RowIds:
    """Give the waits that an exception ended after some results had come, none of which is what failed."""
    failed = _failed(structure, waits)
    wait, run = structure.ready_runs
    inside = np.isin(wait, failed)
    wait, run = wait[inside], run[inside]
    well = flags(structure.spans.get_column("status").gather(run) != "ERROR")
    came = np.bincount(wait[well], minlength=structure.start.size)[failed]
    ready = structure.spans.get_column("ready_task_ids").gather(failed).list.len().fill_null(0).to_numpy()
    some: RowIds = failed[(ready > 0) & (came >= ready)]
    return some


def _failed(structure: Structure, waits: RowIds) -> RowIds:
    return waits[flags(structure.spans.get_column("status").gather(waits) == "ERROR")]


def _came_instead(structure: Structure, given_up: RowIds) -> RowIds:
    """Give for each the wait of the same flow that had just come back with something, -1 where none had."""
    if given_up.size == 0:
        return given_up
    came = np.flatnonzero(flags(structure.spans.get_column("ready_task_ids").list.len() > 0) & ~structure.is_run)
    parent = structure.nest_parent
    came = came[~structure.in_flight[came] & (parent[came] >= 0)]
    last = group_by_time(parent[came], parent.size, came, structure.end[came])
    found = latest_until(last, parent[given_up], structure.end[given_up])
    is_near = times_at(last, found) >= structure.end[given_up] - INSTEAD_WITHIN_NS
    return np.where(is_near, members_at(last, found), -1)


def _failed_creations(structure: Structure, waits: RowIds) -> tuple[RowIds, RowIds]:
    """Pair waits that failed with the creations, which failed, of the actors whose calls they waited for."""
    failed = _failed(structure, waits)
    if failed.size == 0:
        return failed, failed
    lists: list[list[str] | None] = [None] * structure.start.size
    for row, tasks in zip(failed.tolist(), structure.spans.get_column("ready_task_ids").gather(failed), strict=True):
        lists[row] = [_CREATES + task[len(_CREATES) :] for task in (() if tasks is None else tasks) if task]
    wait, run = structure.runs_named(pl.Series(lists, dtype=pl.List(pl.String)))
    spans = structure.spans
    never = flags(spans.get_column("status").gather(run) == "ERROR") & (structure.end[run] <= structure.end[wait])
    wait, run = wait[never], run[never]
    # A call that did start failed by itself.
    started = np.isin(wait, structure.ready_runs[0])
    return wait[~started], run[~started]


def about_rows(structure: Structure, rows: RowIds) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give some rows, each with its attributes."""
    texts = structure.spans.get_column("attributes").gather(rows)
    for row, text in zip(rows.tolist(), texts, strict=True):
        yield row, json_of(text, {})
