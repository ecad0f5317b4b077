"""Rows put into groups: by the flow of control they are in, by the wait they belong to."""

import numpy as np

from raytrace_analyze.table.lineage import Flags, RowIds


def by_flow(head: RowIds, rows: RowIds) -> dict[int, RowIds]:
    """Give rows by the row that heads their flow (`head`, by row), in their order."""
    flow = head[rows]
    order = np.argsort(flow, kind="stable")
    heads, first = np.unique(flow[order], return_index=True)
    ordered, bounds = rows[order], [*first.tolist(), rows.size]
    # `numpy.split` does the same, and takes ten times as long for many pieces.
    return {head: ordered[bounds[at] : bounds[at + 1]] for at, head in enumerate(heads.tolist())}


def split_up(rows: RowIds, sizes: RowIds, kept: Flags) -> list[RowIds]:
    """Give the rows of each of several groups (so many of `rows` are of each, one after the other) that are kept."""
    bounds = np.append(0, np.cumsum(kept))[np.append(0, np.cumsum(sizes))].tolist()
    some = rows[kept]
    return [some[bounds[at] : bounds[at + 1]] for at in range(sizes.size)]
