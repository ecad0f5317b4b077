"""Who is whose parent: rows of the span table as a forest, in whole columns.

Rows are referred to by their position in the table; -1 stands for "none".
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def parent_rows(spans: pl.DataFrame) -> Rows:
    """Give for each span the row of its parent, -1 where it has none or it is not in the table.

    Reads the columns `trace_id`, `span_id` and `parent_id`. Parents may form circles in broken input;
    see `cut_circles`.
    """
    keys = spans.select("trace_id", parent_id="span_id").with_row_index("parent_row")
    found = (
        spans.select("trace_id", "parent_id")
        .join(keys, on=["trace_id", "parent_id"], how="left", maintain_order="left")
        .get_column("parent_row")
    )
    return found.cast(pl.Int64).fill_null(-1).to_numpy().astype(np.int64)


def cut_circles(parent: Rows, start_ns: Rows, id_rank: Rows) -> tuple[Rows, Rows]:
    """Break every circle of parents at the span that starts first (then: the smaller id).

    Takes the parent rows, the start times (ns) and the rank of each span id. Gives the parents without
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
        loser = min(circle, key=lambda member: (start_ns[member], id_rank[member]))
        mended[loser] = -1
        losers.append(loser)
    return mended, np.array(sorted(losers), dtype=np.int64)


def _rows_on_circles(parent: Rows) -> Rows:
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


def nearest_ancestor(parent: Rows, wanted: Flags) -> Rows:
    """Give for each row its nearest proper ancestor that is `wanted`, -1 where there is none.

    `parent` must be free of circles. Works by pointer doubling: as many rounds as the depth has bits.
    """
    found = parent.copy()
    while True:
        open_rows = np.flatnonzero((found >= 0) & ~wanted[found])
        if open_rows.size == 0:
            return found
        found[open_rows] = found[found[open_rows]]


def fold_ancestors(parent: Rows, values: npt.NDArray[Any], combine: np.ufunc) -> npt.NDArray[Any]:
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


def depth(parent: Rows) -> Rows:
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
