"""The spans as stacks of names with the time that each spent in itself, summed up: what flame graphs are made of."""

from dataclasses import dataclass

import numpy as np
import polars as pl


@dataclass(frozen=True)
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


def stacks(spans: pl.DataFrame, latest_ns: int) -> Stacks:
    """Sum up a span table by stacks of span names; spans in flight last to `latest_ns`.

    A span's own time is what none of its children covers: of children side by side each counts as long as it took.
    A span whose parent is not there (or is among its own descendants) starts a stack.
    """
    rows = _rows(spans, latest_ns)
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


def _rows(spans: pl.DataFrame, latest_ns: int) -> pl.DataFrame:
    """Columns row, name, parent (a row, null for none), self_ns."""
    plain = spans.select(
        "trace_id",
        "span_id",
        "parent_id",
        "name",
        start=pl.col("start").to_physical(),
        end=pl.max_horizontal(pl.col("end").to_physical().fill_null(latest_ns), pl.col("start").to_physical()),
    ).with_row_index("row")
    parents = plain.select("trace_id", "start", "end", parent_id="span_id", parent="row").unique(
        ["trace_id", "parent_id"], keep="first"
    )
    joined = plain.join(parents, on=["trace_id", "parent_id"], how="left", maintain_order="left", suffix="_above")
    covered = (
        joined.filter(pl.col("parent").is_not_null())
        .with_columns(
            pl.col("start").clip(lower_bound=pl.col("start_above")), pl.col("end").clip(upper_bound=pl.col("end_above"))
        )
        .sort("parent", "start")
        .with_columns(reached=pl.col("end").cum_max().shift(1).over("parent"))
        .group_by("parent")
        .agg(
            covered=(pl.col("end") - pl.max_horizontal("start", pl.col("reached").fill_null(pl.col("start"))))
            .clip(lower_bound=0)
            .sum()
        )
        .rename({"parent": "row"})
    )
    return joined.join(covered, on="row", how="left", maintain_order="left").select(
        "row", "name", "parent", self_ns=pl.col("end") - pl.col("start") - pl.col("covered").fill_null(0)
    )
