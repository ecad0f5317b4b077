"""Runs by the numbers of their tasks and submits: which of them are attempts at the same."""

import numpy as np

from raytrace_analyze.table.lineage import Nanos, RowIds


def shared(group: RowIds) -> RowIds:
    """Give each one's group again where others are in it too, -1 for those that are alone in theirs."""
    counts = np.bincount(group + 1, minlength=1)
    counts[0] = 0
    return np.where((counts > 1)[group + 1], group, -1) if (counts > 1).any() else np.full_like(group, -1)


def join_tasks(task: RowIds, count: int, submit: RowIds) -> RowIds:
    """Number runs' tasks by those that they name (below `count`) and their submits; -1 for neither, in all three."""
    number = np.where(task >= 0, task, np.where(submit >= 0, count + submit, -1))
    of_submit, of_task = (np.flatnonzero(shared(group) >= 0) for group in (submit, task))
    while of_submit.size:
        # Runs of one submit that name different tasks are of one task, and so are all others of these.
        before = number.copy()
        for rows, group in ((of_submit, submit), (of_task, task)):
            least = np.full(int(group.max(initial=-1)) + 1, np.iinfo(np.int64).max)
            np.minimum.at(least, group[rows], number[rows])
            number[rows] = least[group[rows]]
        if np.array_equal(before, number):
            break
    return number


def next_attempts(task: RowIds, start: Nanos) -> tuple[RowIds, RowIds]:
    """Pair the positions of runs with that of the next attempt at their task (a number, -1: not known), by start."""
    order = np.lexsort((start, task))
    again = (task[order[1:]] == task[order[:-1]]) & (task[order[1:]] >= 0)
    return order[:-1][again], order[1:][again]
