"""How long the trials of Ray Tune saved checkpoints, and restored them."""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.libraries.tune.trials import KEY, on_actors
from raytrace_analyze.names.spans import CHECKPOINT_SPAN
from raytrace_analyze.prepared import PreparedTrace

_CALLS = r"\.(save|restore)$"
"""The methods of Tune's classes with which its controller has a trial's state saved, and restored."""
CHECKPOINTS = pl.Schema(
    {**dict.fromkeys(KEY, pl.String), **dict.fromkeys(("saved_ns", "restored_ns", "failed"), pl.Int64)}
)
"""Columns of `checkpoints_of`."""


def checkpoints_of(trace: PreparedTrace, attempts: pl.DataFrame) -> pl.DataFrame:
    """Sum for each trial how long its actor saved and restored (ns): columns of `CHECKPOINTS`, no row for neither.

    `failed`: how many of Tune's calls for that failed, and the trial with them. `attempts` are those of
    `find_attempts`. What a trial's function reports is stored within it.
    """
    working = on_actors(trace, attempts)
    structure = trace.structure
    told = trace.spans.select("function", "name", row=pl.int_range(pl.len(), dtype=pl.Int64))
    is_run = pl.Series(structure.is_run)
    calls = told.filter(is_run & pl.col("function").str.contains(_CALLS).fill_null(value=False))
    stores = told.filter(~is_run & (pl.col("name") == CHECKPOINT_SPAN) & pl.Series(structure.run_above >= 0))
    rows = pl.concat([calls, stores]).get_column("row").to_numpy()
    if working.is_empty() or rows.size == 0:
        return pl.DataFrame(schema=CHECKPOINTS)
    within = np.where(structure.is_run[rows], rows, structure.run_above[rows])
    took = pl.col("took")
    return (
        trace.spans.select("session", "actor_id", "function", is_error=pl.col("status") == "ERROR")[within]
        .with_columns(
            failed=pl.col("is_error") & pl.Series(structure.is_run[rows]),
            is_restore=pl.Series(structure.is_run[rows]) & pl.col("function").str.ends_with(".restore"),
            start=pl.Series(structure.start[rows]),
            took=pl.Series(structure.end[rows] - structure.start[rows]),
        )
        .sort("start")
        .join_asof(
            working.select(*KEY, "actor_id", "since"),
            left_on="start",
            right_on="since",
            by=["session", "actor_id"],
            check_sortedness=False,
        )
        .filter(pl.col("trial").is_not_null())
        .group_by(KEY)
        .agg(
            pl.col("failed").sum(),
            saved_ns=took.filter(~pl.col("is_restore")).sum(),
            restored_ns=took.filter("is_restore").sum(),
        )
        .select(CHECKPOINTS.names())
        .cast(CHECKPOINTS)
    )
