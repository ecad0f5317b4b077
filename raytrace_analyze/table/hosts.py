"""The hosts that spans ran on, each with a clock."""

import numpy as np
import polars as pl

from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.values import frozen

CLOCK = ("session", "host", "pid")
"""What tells clocks apart: hosts, and processes that have one of their own."""


@frozen
class Hosts:
    """The hosts of a table, numbered by session and, within it, by importance: the driver's, then by spans."""

    table: pl.DataFrame
    """Columns `session`, `host`, and `pid` of a process that has a clock of its own, else null; the number of a host
    is its row."""
    of_row: RowIds
    """The number of each span's host."""


def number_hosts(spans: pl.DataFrame) -> Hosts:
    """Find the hosts: those that spans name, else a node id; spans that name neither share one."""
    if not spans.is_empty() and all(_is_constant(spans.get_column(name)) for name in ("session", "host")):
        only = spans.select("session", "host", pid=pl.lit(None, pl.Int64)).head(1)
        return Hosts(only, np.zeros(spans.height, dtype=np.int64))
    by = ["session", "host", "node_id"]
    is_driver = (pl.col("category") == "driver").any()
    places = spans.lazy().group_by(by).agg(spans=pl.len(), is_driver=is_driver).collect()
    # A span that names only its node is on the host that the others on that node name.
    names = pl.col("host").drop_nulls()
    of_node = pl.when(names.n_unique() == 1).then(names.min())
    places = places.with_columns(
        place=pl.coalesce(
            "host", pl.when(pl.col("node_id").is_not_null()).then(of_node.over("session", "node_id")), "node_id"
        )
    )
    table = by_importance(places.select("session", "spans", "is_driver", host="place", pid=pl.lit(None, pl.Int64)))
    if table.height <= 1:
        return Hosts(table, np.zeros(spans.height, dtype=np.int64))
    numbered = table.with_columns(number=pl.int_range(pl.len(), dtype=pl.Int64))
    keys = places.join(numbered, left_on=["session", "place"], right_on=["session", "host"], nulls_equal=True)
    by = [name for name in by if keys.get_column(name).n_unique() > 1]
    found = spans.select(by).join(
        keys.select(*by, "number"), on=by, how="left", nulls_equal=True, maintain_order="left"
    )
    return Hosts(table, found.get_column("number").to_numpy())


def by_importance(places: pl.DataFrame) -> pl.DataFrame:
    """Give the clocks (columns `CLOCK`) of places with `spans`, of which some `is_driver`, in their order."""
    return (
        places.group_by(CLOCK)
        .agg(pl.col("spans").sum(), pl.col("is_driver").any())
        .sort("session", "is_driver", "spans", "host", "pid", descending=[False, True, True, False, False])
        .select(CLOCK)
    )


def _is_constant(column: pl.Series) -> bool:
    """Tell whether all values are the same, and known."""
    return not column.null_count() and bool((column == column[0]).all())
