"""The spans as stacks of names with the time that each spent in itself, summed up: what flame graphs are made of."""

import numpy as np
import polars as pl

from raytrace_analyze.exports.selected.skeleton import parent_rows
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.values import frozen


@frozen
class Stacks:
    """A tree of names; a stack is a node with all above it."""

    nodes: pl.DataFrame
    """Columns node (0 and up), above (a node, -1 for none; always a smaller one), name, self_ns (summed)."""

    def frames(self) -> list[tuple[str, ...]]:
        """Give the names of each node's stack, the outermost first."""
        found: list[tuple[str, ...]] = []
        for above, name in self.nodes.select("above", "name").iter_rows():
            found.append((*(found[above] if above >= 0 else ()), name))
        return found


def stacks(spans: pl.DataFrame) -> Stacks:
    """Sum up spans (rows of a `skeleton.Skeleton`) by stacks of their names.

    A span's own time is what none of its children covers: of children side by side each counts as long as it took.
    A span whose parent is not there (or is among its own descendants) starts a stack.
    """
    rows = _rows(spans)
    node = np.full(rows.height, -1, dtype=np.int64)
    made: list[pl.DataFrame] = []
    count = 0
    level = rows.filter(pl.col("parent").is_null()).with_columns(above=pl.lit(-1, pl.Int64))
    reached = np.zeros(rows.height, dtype=np.bool_)
    while not level.is_empty():
        reached[level.get_column("row").to_numpy()] = True
        nodes = level.group_by("above", "name", maintain_order=True).agg(pl.col("self_ns").sum())
        nodes = nodes.with_row_index("node", offset=count).with_columns(pl.col("node").cast(pl.Int64))
        made.append(nodes)
        count += nodes.height
        level = level.join(nodes.select("above", "name", "node"), on=["above", "name"], maintain_order="left")
        node[level.get_column("row").to_numpy()] = level.get_column("node").to_numpy()
        level = rows.join(level.select(parent="row", above="node"), on="parent", maintain_order="left")
    circle = rows.filter(~pl.Series(reached)) if not reached.all() else rows.head(0)
    if not circle.is_empty():  # spans that name each other as parents: each stands alone
        alone = circle.group_by("name", maintain_order=True).agg(pl.col("self_ns").sum())
        alone = alone.with_row_index("node", offset=count).select(
            pl.lit(-1, pl.Int64).alias("above"), "name", "self_ns", pl.col("node").cast(pl.Int64)
        )
        made.append(alone.select(made[0].columns) if made else alone)
    return Stacks(pl.concat([part.select("node", "above", "name", "self_ns") for part in made]))


def _rows(spans: pl.DataFrame) -> pl.DataFrame:
    """Columns row, name, parent (a row, null for none), self_ns."""
    parent = parent_rows(spans.get_column("key"), spans.get_column("parent"))
    start, end = (spans.get_column(name).to_numpy() for name in ("start_ns", "end_ns"))
    covered = np.zeros(spans.height, dtype=np.int64)
    found = _covered(start, end, parent)
    covered[found.get_column("parent").to_numpy()] = found.get_column("covered").to_numpy()
    of_row = pl.Series("parent", parent)
    return spans.select(
        pl.int_range(pl.len()).alias("row"),
        "name",
        of_row.set(of_row < 0, None),
        self_ns=pl.Series(end - start - covered),
    )


def _covered(start: Nanos, end: Nanos, parent: RowIds) -> pl.DataFrame:
    """Give for each `parent` how much of it its children cover, in ns."""
    inside = np.flatnonzero(parent >= 0)
    above = parent[inside]
    children = pl.DataFrame(
        {
            "parent": above,
            "start": np.maximum(start[inside], start[above]),
            "end": np.minimum(end[inside], end[above]),
        }
    ).sort("parent", "start")
    reached = pl.col("end").cum_max().shift(1).over("parent")
    own = pl.col("end") - pl.max_horizontal("start", reached.fill_null(pl.col("start")))
    return children.select("parent", covered=own.clip(lower_bound=0)).group_by("parent").agg(pl.col("covered").sum())
