"""Runs numbered by what they have in common, and put in groups by that."""

import numpy as np
import polars as pl

from raytrace_analyze.table.lineage import Flags, Hashes, RowIds
from raytrace_analyze.table.runs.numbered import join_tasks
from raytrace_analyze.trace.groups import Timed, group_in_order, group_sorted
from raytrace_analyze.trace.span_arrays import Structure

_FEW = 1 << 12
"""To look so many numbers up costs less than to put all in order."""


def number_pairs(structure: Structure, key: pl.Series, among: Flags) -> tuple[RowIds, int]:
    """Number the distinct pairs of session and `key` among some spans; -1 for others and where the key is null.

    Gives how many there are, too.
    """
    number = np.full(structure.is_run.size, -1, dtype=np.int64)
    if key.null_count() == len(key):
        return number, 0
    rows = np.flatnonzero(among & key.is_not_null().to_numpy())
    if rows.size == 0:
        return number, 0
    # Sorting hashes takes half the time of grouping strings; two keys in 10^7 share one once in 300,000 tables.
    hashes = structure.mixed_session[rows] ^ key.hash(2).to_numpy()[rows]
    number[rows], count = _numbered(hashes)
    return number, count


def _numbered(hashes: Hashes) -> tuple[RowIds, int]:
    """Number distinct hashes; gives how many there are, too. To sort them takes a fifth of putting them in order."""
    ordered = np.sort(hashes)
    begins = np.append(True, ordered[1:] != ordered[:-1])
    count = int(begins.sum())
    if count == hashes.size:
        return np.arange(count), count
    if count <= _FEW:
        return np.searchsorted(ordered[begins], hashes), count
    number = np.empty(hashes.size, dtype=np.int64)
    number[np.argsort(hashes)] = np.cumsum(begins) - 1
    return number, count


def number_alike(*columns: RowIds) -> RowIds:
    """Number what is alike in all columns, in their order: those of the first, then of the next."""
    order = np.lexsort(columns[::-1])
    begins = np.zeros(order.size, dtype=np.bool_)
    for column in columns:
        begins[1:] |= column[order[1:]] != column[order[:-1]]
    number = np.empty(order.size, dtype=np.int64)
    number[order] = np.cumsum(begins)
    return number


def number_tasks(structure: Structure) -> RowIds:
    """Number the tasks of runs, which share one if they share their submit or their task id; -1 where none is known."""
    return join_tasks(*number_pairs(structure, structure.run_task, structure.is_run), structure.submit)


def by_end(structure: Structure, group: RowIds, group_count: int) -> Timed:
    """Group runs (`group` is that of every row, -1 for none) in order of their ends."""
    rows = np.flatnonzero(group >= 0)
    if rows.size and group_count <= rows.size:
        # Many runs in few groups: their order by end is there already.
        rows = structure.latest_last
        return group_sorted(group[rows], group_count, rows, structure.end[rows])
    return group_in_order(group[rows], group_count, rows, structure.lateness[rows], structure.end[rows])
