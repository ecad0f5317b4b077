"""Whether what is told of some traces is told by themselves: what they name is in themselves, or nowhere."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED_TASK_IDS, told
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import Flags, Hashes, flags
from raytrace_analyze.trace.task_ids import Tasks, named_tasks
from raytrace_analyze.values import frozen


@frozen
class Named:
    """Tasks of some traces as hashes of session and id."""

    run: Hashes
    """Those that were run, each once, in order."""
    elsewhere: Hashes
    """Those that are named and were not run there, in no order."""


def is_by_itself(trace: PreparedTrace) -> bool:
    """Tell whether no span of a part of a table has its parent by another way than by its id, and no clock is off."""
    is_off = pl.col("is_proven") | pl.col("is_contradictory") | (pl.col("violations") > 0) | pl.col("pid").is_not_null()
    return trace.structure.adopted.size == 0 and trace.offsets.filter(is_off.fill_null(value=True)).is_empty()


def tasks_named(trace: PreparedTrace, asked: Flags) -> Named | None:
    """Give the tasks that rows (those that are `asked`) run and name; None where a row names one of another trace."""
    structure = trace.structure
    scope = trace.scopes("traces").of_row
    for row, run in (structure.ready_runs, structure.dependency_runs):
        if (asked[row] & (scope[row] != scope[run])).any():
            return None
    every = np.sort(_keys(structure.tasks, asked))
    ran: Hashes = every[np.append(True, every[1:] != every[:-1])[: every.size]]
    several = (structure.ready_tasks, structure.dependency_tasks, _awaited(trace, asked))
    named = np.concatenate([_keys(tasks, asked) for tasks in several])
    return Named(ran, named[~_is_in(named, ran)])


def _keys(tasks: Tasks, asked: Flags) -> Hashes:
    return tasks.key[asked[tasks.row]]


def are_apart(parts: list[Named]) -> bool:
    """Tell whether no task is run in two parts, or named in one and run in another."""
    every = np.sort(np.concatenate([part.run for part in parts]))
    if (every[1:] == every[:-1]).any():
        return False
    return not any(_is_in(part.elsewhere, every).any() for part in parts)


def _is_in(some: Hashes, every: Hashes) -> Flags:
    """Tell which are among others, which are in order."""
    if every.size == 0:
        return np.zeros(some.size, dtype=np.bool_)
    found: Flags = every[np.minimum(np.searchsorted(every, some), every.size - 1)] == some
    return found


def _awaited(trace: PreparedTrace, asked: Flags) -> Tasks:
    """Give the tasks that waits name without having got their results."""
    structure = trace.structure
    spans = structure.spans
    waits = np.flatnonzero(asked & flags(spans.get_column("ready_task_ids").is_not_null()))
    awaited = told(spans.get_column("attributes").gather(waits), AWAITED_TASK_IDS).str.extract_all(r'[^",\[\]\s]+')
    none = pl.Series([None], dtype=pl.List(pl.String)).new_from_index(0, spans.height)
    return named_tasks(
        none if awaited.null_count() == len(awaited) else none.scatter(waits, awaited), structure.mixed_session
    )
