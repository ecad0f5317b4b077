"""The actors that work for a loop: how much of its time they are idle, and who holds it up."""

import numpy as np
import polars as pl

from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import RowIds

ACTORS = pl.Schema(
    {
        **dict.fromkeys(("actor", "actor_id", "function"), pl.String),
        **dict.fromkeys(("runs", "busy_ns"), pl.Int64),
        "idle_share": pl.Float64,
        "slowest_in": pl.Int64,
    }
)
"""Columns of `actors_in`."""
_SLOWER = 1.5
"""From how many times the others' median on a call is the slowest of several."""


def actors_in(
    trace: PreparedTrace, rows: RowIds, bounds: pl.DataFrame, calls: pl.DataFrame, named: pl.DataFrame
) -> pl.DataFrame:
    """Sum up the actors among some rows, between the first step's start and the last one's end; the busiest first.

    An actor is busy while a call runs on it, one or several. Columns of `ACTORS`.
    """
    structure = trace.structure
    first, last = int(bounds.get_column("start").min()), int(bounds.get_column("end").max())  # type: ignore[arg-type]
    run = rows[structure.is_run[rows]]
    run = run[(structure.start[run] < last) & (structure.end[run] > first)]
    runs = (
        trace.spans.select("session", "actor_id", "function")[run]
        .with_columns(
            start=pl.Series(np.maximum(structure.start[run], first)),
            end=pl.Series(np.minimum(structure.end[run], last)),
        )
        .filter(pl.col("actor_id").is_not_null(), ~pl.col("function").str.ends_with("__init__"))
        .sort("actor_id", "start")
    )
    before = pl.col("end").cum_max().shift(1).over("actor_id")
    fresh = (pl.col("end") - pl.max_horizontal("start", before)).clip(lower_bound=0)
    slow = (
        calls.filter(pl.col("slowest_ns") >= _SLOWER * pl.col("others_ns"))
        .group_by(actor_id="slowest_actor_id")
        .agg(slowest_in=pl.col("bound").n_unique().cast(pl.Int64))
    )
    busy = (
        runs.with_columns(busy=fresh)
        .group_by("session", "actor_id")
        .agg(pl.col("function").mode().sort().first(), runs=pl.len().cast(pl.Int64), busy_ns=pl.col("busy").sum())
        .join(named, on=["session", "actor_id"], how="left")
        .join(slow, on="actor_id", how="left")
        .with_columns(
            pl.col("slowest_in").fill_null(0),
            idle_share=1 - pl.col("busy_ns") / max(last - first, 1),
        )
        .sort("busy_ns", "actor", "actor_id", descending=[True, False, False])
    )
    return busy.select(ACTORS.names()).cast(ACTORS)
