"""Rows put into groups: by the flow of control they are in, by the wait they belong to."""

import numpy as np

from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.values import frozen


@frozen
class ByFlow:
    """Rows by the flow of control that they are in (the row that heads it), in their order; nothing for each flow."""

    heads: RowIds
    """Those of the flows that have any, in order."""
    first: RowIds
    """Where the rows of each begin, and where the last ones end."""
    rows: RowIds

    def get(self, head: int) -> RowIds:
        """Give the rows of a flow, of which there may be none."""
        at = int(np.searchsorted(self.heads, head))
        if at == self.heads.size or self.heads[at] != head:
            return self.rows[:0]
        return self.rows[self.first[at] : self.first[at + 1]]

    def with_at_least(self, count: int) -> RowIds:
        """Give the heads of the flows that have so many rows."""
        return self.heads[np.diff(self.first) >= count]


def by_flow(head: RowIds, rows: RowIds) -> ByFlow:
    """Put rows together by the row that heads their flow (`head`, by row)."""
    flow = head[rows]
    order = np.argsort(flow, kind="stable")
    ordered = flow[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: ordered.size])
    return ByFlow(ordered[begins], np.append(begins, rows.size), rows[order])


def split_up(rows: RowIds, sizes: RowIds, kept: Flags) -> list[RowIds]:
    """Give the rows of each of several groups (so many of `rows` are of each, one after the other) that are kept."""
    bounds = np.append(0, np.cumsum(kept))[np.append(0, np.cumsum(sizes))].tolist()
    some = rows[kept]
    return [some[bounds[at] : bounds[at + 1]] for at in range(sizes.size)]
