"""Who is whose parent: rows of the span table as a forest, in whole columns.

Rows are referred to by their position in the table; -1 stands for "none".
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

RowIds = npt.NDArray[np.int64]
"""Positions of rows, or numbers of groups."""
Nanos = npt.NDArray[np.int64]
"""Times or durations, in ns."""
Flags = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

_ID_COLUMNS = (("trace_id", 1), ("span_id", 2), ("parent_id", 2))
_MULTIPLIER = 0x9E3779B97F4A7C15
_MIX = np.uint64(_MULTIPLIER)


def parent_rows(spans: pl.DataFrame) -> RowIds:
    """Give for each span the row of its parent, -1 where it has none or it is not in the table.

    Reads the columns `trace_id`, `span_id` and `parent_id`. Parents may form circles in broken input;
    see `cut_circles`.
    """
    has_parent = np.flatnonzero(spans.get_column("parent_id").is_not_null().to_numpy())
    # Joining whole numbers takes half the time of joining pairs of strings; that both hashes of a pair are equal, and
    # not only what they are mixed to, tells chance hits apart.
    trace, own, above = (spans.get_column(name).hash(seed).to_numpy() for name, seed in _ID_COLUMNS)
    mixed = trace * _MIX
    known = pl.DataFrame({"key": mixed ^ own, "parent": np.arange(spans.height, dtype=np.int64)})
    wanted = pl.DataFrame({"key": mixed[has_parent] ^ above[has_parent], "child": has_parent})
    found = wanted.join(known, on="key")
    child, parent = found.get_column("child").to_numpy(), found.get_column("parent").to_numpy()
    same = (above[child] == own[parent]) & (trace[child] == trace[parent])
    parents = np.full(spans.height, -1, dtype=np.int64)
    parents[child[same]] = parent[same]
    return parents


def distinct_rows(rows: RowIds) -> RowIds:
    """Give the different ones of some rows, in order: `numpy.unique` takes many times as long for very many of them."""
    ordered: RowIds = np.sort(rows)
    different: RowIds = ordered[np.append(True, ordered[1:] != ordered[:-1])[: ordered.size]]
    return different


def run_flags(kind: pl.Series, parent: RowIds) -> Flags:
    """Tell which spans are runs: a CONSUMER whose parent is a PRODUCER, or is missing."""
    is_consumer = (kind == "CONSUMER").to_numpy()
    is_producer = (kind == "PRODUCER").to_numpy()
    return np.asarray(is_consumer & ((parent < 0) | is_producer[parent]))


def hash_of_pair(first: str, second: str) -> pl.Expr:
    """Give the hash of a pair of columns, such as trace and span: joining by whole numbers takes half the time."""
    return (pl.col(first).hash(1) * pl.lit(_MULTIPLIER, pl.UInt64)) ^ pl.col(second).hash(2)


def mixed_hash(column: pl.Series) -> Hashes:
    """Give a hash of each value, which makes one of a pair when it is XORed with the plain hash of another column."""
    hashed: Hashes = column.hash(1).to_numpy() * _MIX
    return hashed


def flags(column: pl.Series) -> Flags:
    """Give a column of truth values as an array; null counts as false."""
    if column.null_count() == len(column):
        return np.zeros(len(column), dtype=np.bool_)
    return (column.fill_null(False) if column.null_count() else column).to_numpy()


def first_of_each(keys: pl.Series) -> RowIds:
    """Give by row the first one of those with the same key, which lie together."""
    begins = flags(keys.ne_missing(keys.shift(1)))
    first: RowIds = np.maximum.accumulate(np.where(begins, np.arange(len(keys)), 0))
    return first


def cut_circles(parent: RowIds, start_ns: Nanos, span_id: pl.Series) -> tuple[RowIds, RowIds]:
    """Break every circle of parents at the span that starts first (then: the smaller id).

    Takes the parent rows, the start times (ns) and the span ids. Gives the parents without
    circles, and the rows that lost theirs.
    """
    on_circle = _rows_on_circles(parent)
    if on_circle.size == 0:
        return parent, on_circle
    mended = parent.copy()
    losers: list[int] = []
    seen: set[int] = set()
    for row in on_circle.tolist():
        if row in seen:
            continue
        circle = [row]
        seen.add(row)
        step = int(parent[row])
        while step != row:
            circle.append(step)
            seen.add(step)
            step = int(parent[step])
        loser = min(circle, key=lambda member: (start_ns[member], span_id[member]))
        mended[loser] = -1
        losers.append(loser)
    return mended, np.array(sorted(losers), dtype=np.int64)


def _rows_on_circles(parent: RowIds) -> RowIds:
    """Give the rows that reach themselves by climbing.

    Climbing twice the forest's height from anywhere ends at a root, unless there is a circle: then it
    ends on the circle, and going round from there names its members.
    """
    jump = parent.copy()
    for _ in range(max(1, int(parent.size).bit_length())):
        inside = jump >= 0
        if not inside.any():
            return np.empty(0, dtype=np.int64)
        jump[inside] = jump[jump[inside]]
    entry = np.unique(jump[jump >= 0])
    members: set[int] = set()
    for row in entry.tolist():
        step = row
        while step not in members:
            members.add(step)
            step = int(parent[step])
    return np.array(sorted(members), dtype=np.int64)


def roots(parent: RowIds) -> RowIds:
    """Give for each row the topmost of its ancestors, itself where it has none. `parent` must be free of circles."""
    top = np.where(parent < 0, np.arange(parent.size), parent)
    while True:
        above = top[top]
        if np.array_equal(above, top):
            return top
        top = above


def nearest_ancestor(parent: RowIds, wanted: Flags) -> RowIds:
    """Give for each row its nearest proper ancestor that is `wanted`, -1 where there is none.

    `parent` must be free of circles. Works by pointer doubling: as many rounds as the depth has bits.
    """
    found = parent.copy()
    while True:
        open_rows = np.flatnonzero((found >= 0) & ~wanted[found])
        if open_rows.size == 0:
            return found
        found[open_rows] = found[found[open_rows]]


def fold_ancestors(parent: RowIds, values: npt.NDArray[Any], combine: np.ufunc) -> npt.NDArray[Any]:
    """Combine each row's value with those of all its ancestors (`np.maximum`, `np.minimum`, `np.logical_or`).

    `parent` must be free of circles. `combine` has to be associative, commutative and idempotent.
    """
    folded = values.copy()
    jump = parent.copy()
    while True:
        rows = np.flatnonzero(jump >= 0)
        if rows.size == 0:
            return folded
        above = jump[rows]
        folded[rows] = combine(folded[rows], folded[above])
        jump[rows] = jump[above]


def depth(parent: RowIds) -> RowIds:
    """Give for each row how many ancestors it has. `parent` must be free of circles."""
    depths = (parent >= 0).astype(np.int64)
    jump = parent.copy()
    while True:
        rows = np.flatnonzero(jump >= 0)
        if rows.size == 0:
            return depths
        above = jump[rows]
        depths[rows] += depths[above]
        jump[rows] = jump[above]
