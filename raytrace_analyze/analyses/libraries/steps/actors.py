"""The actors that work for a loop: how much of its time they are idle, and who holds it up."""

import numpy as np
import polars as pl

from raytrace_analyze.names.spans import creates_actor
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

    An actor is busy while a call runs on it, one or several, that does not wait for anything itself. Columns of
    `ACTORS`.
    """
    structure = trace.structure
    first, last = int(bounds.get_column("start").min()), int(bounds.get_column("end").max())  # type: ignore[arg-type]
    run = rows[structure.is_run[rows]]
    run = run[(structure.start[run] < last) & (structure.end[run] > first)]
    runs = (
        trace.spans.select("session", "actor_id", "function")[run]
        .with_columns(
            row=pl.Series(run, dtype=pl.Int64),
            start=pl.Series(np.maximum(structure.start[run], first)),
            end=pl.Series(np.minimum(structure.end[run], last)),
        )
        .filter(pl.col("actor_id").is_not_null(), ~creates_actor(pl.col("function")))
    )
    slow = (
        calls.filter(pl.col("slowest_ns") >= _SLOWER * pl.col("others_ns"))
        .group_by(actor_id="slowest_actor_id")
        .agg(slowest_in=pl.col("bound").n_unique().cast(pl.Int64))
    )
    busy = (
        runs.group_by("session", "actor_id")
        .agg(pl.col("function").mode().sort().first(), runs=pl.len().cast(pl.Int64))
        .join(_busy(runs, _waits(trace, runs)), on=["session", "actor_id"])
        .join(named, on=["session", "actor_id"], how="left")
        .join(slow, on="actor_id", how="left")
        .with_columns(
            pl.col("slowest_in").fill_null(0),
            idle_share=1 - pl.col("busy_ns") / max(last - first, 1),
        )
        .sort("busy_ns", "actor", "actor_id", descending=[True, False, False])
    )
    return busy.select(ACTORS.names()).cast(ACTORS)


def _waits(trace: PreparedTrace, runs: pl.DataFrame) -> pl.DataFrame:
    """Give when each of some runs waited for anything that was recorded: `row`, `start`, `end`, none over another."""
    structure = trace.structure
    waits = np.flatnonzero(trace.spans.get_column("ready_task_ids").is_not_null().to_numpy() & ~structure.is_run)
    before = pl.col("end").cum_max().shift(1).over("row")
    return (
        pl.DataFrame({"row": structure.run_above[waits], "from": structure.start[waits], "to": structure.end[waits]})
        .join(runs.select("row", "start", "end"), on="row")
        .select("row", start=pl.max_horizontal("start", "from"), end=pl.min_horizontal("end", "to"))
        .filter(pl.col("end") > pl.col("start"))
        .sort("row", "start")
        .with_columns(number=(pl.col("start") > before).fill_null(value=True).cum_sum().over("row"))
        .group_by("row", "number")
        .agg(pl.col("start").min(), pl.col("end").max())
    )


def _busy(runs: pl.DataFrame, waits: pl.DataFrame) -> pl.DataFrame:
    """Sum by actor the time in which at least one of its runs did not wait: `session`, `actor_id`, `busy_ns`."""
    waiting = waits.join(runs.select("row", "session", "actor_id"), on="row")
    actor = ["session", "actor_id"]
    changes = [
        part.select(*actor, time=time, by=pl.lit(by, pl.Int64))
        for part, time, by in ((runs, "start", 1), (runs, "end", -1), (waiting, "start", -1), (waiting, "end", 1))
    ]
    until = pl.col("time").shift(-1).over(actor)
    return (
        pl.concat(changes)
        .group_by(*actor, "time")
        .agg(pl.col("by").sum())
        .sort(*actor, "time")
        .with_columns(at_work=pl.col("by").cum_sum().over(actor), took=until - pl.col("time"))
        .group_by(actor)
        .agg(busy_ns=pl.col("took").filter(pl.col("at_work") > 0).sum())
    )
