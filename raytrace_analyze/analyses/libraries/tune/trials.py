"""The trials of Ray Tune: what the hook told of them, and their runs."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED, EXPERIMENT, PARAMETERS, REPORT, TRIAL, told
from raytrace_analyze.names.spans import REPORT_SPAN, TRIAL_SPAN
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import flags
from raytrace_analyze.trace.actor_labels import actor_labels

"""A span of our hook, of no length: a trial asks for its process."""
_FUNCTION_TRAINABLE = "ImplicitFunc.train"
"""What Tune makes of a trial that is a function: all that there is without our hook."""
_RESET = ".reset"
_TRAIN = r"\.train(_buffered)?$"

KEY = ("session", "job_id", "trial")
ATTEMPTS = pl.Schema(
    {
        **dict.fromkeys((*KEY, "experiment", "parameters"), pl.String),
        **dict.fromkeys(("attempt", "submitted", "began", "ended", "results", "slowest_ns", "errors"), pl.Int64),
        "held_ns": pl.Int64,
        "actor_id": pl.String,
    }
)
"""Columns of `find_attempts`: one row an attempt of a trial; times are ns since the epoch."""


def find_attempts(trace: PreparedTrace) -> pl.DataFrame:
    """Find all attempts of all trials, in order of when they asked for their process: columns of `ATTEMPTS`.

    `began` and `ended` are its first result's begin and its last one's end; `results` how many it gave, `slowest_ns`
    the longest of them; `errors`, how many runs failed; `held_ns`: the function was held between two results (null for
    classes, and without our hook). Where the hook told of no trial, each actor that runs a function of Tune's is one.
    """
    marks = _marks(trace)
    if marks.is_empty():
        return _untold(trace)
    runs = _runs(trace)
    attempts = marks.with_columns(attempt=pl.int_range(pl.len(), dtype=pl.Int64).over(KEY))
    placed = runs.sort("start").join_asof(
        attempts.select(*KEY, "attempt", "submitted").sort("submitted"),
        left_on="start",
        right_on="submitted",
        by=list(KEY),
        check_sortedness=False,
    )
    summed = placed.group_by(*KEY, "attempt").agg(*_sums())
    return _finished(attempts.join(summed, on=[*KEY, "attempt"], how="left", nulls_equal=True))


def is_told(trace: PreparedTrace) -> bool:
    """Tell whether our hook told of trials."""
    return bool((trace.spans.get_column("name") == TRIAL_SPAN).any())


def on_actors(trace: PreparedTrace, attempts: pl.DataFrame) -> pl.DataFrame:
    """Give the attempts that had an actor, with when it began to work for each (`since`), in order of that.

    An actor that is used again works for a trial from where that asked for it, once it has ended the one before: from
    its reset (Tune's own call in between) on, where there is one.
    """
    actor = ["session", "actor_id"]
    structure = trace.structure
    rows = np.flatnonzero(structure.is_run & flags(trace.spans.get_column("function").str.ends_with(_RESET)))
    resets = trace.spans.select(*actor)[rows].with_columns(reset=pl.Series(structure.start[rows])).sort("reset")
    before = pl.col("ended").shift().over(actor, order_by="at")
    reset = pl.when(pl.col("reset") >= before).then("reset")
    return (
        attempts.filter(pl.col("actor_id").is_not_null())
        .with_columns(at=pl.coalesce("began", "submitted"))
        .sort("at")
        .join_asof(resets, left_on="at", right_on="reset", by=actor, check_sortedness=False, coalesce=False)
        .with_columns(since=pl.max_horizontal("submitted", pl.coalesce(reset, before)))
        .drop("at", "reset")
        .sort("since")
    )


def _finished(attempts: pl.DataFrame) -> pl.DataFrame:
    return attempts.sort("submitted", "trial").select(ATTEMPTS.names()).cast(ATTEMPTS)


def _sums() -> list[pl.Expr]:
    took = pl.col("end") - pl.col("start")
    is_call = pl.col("is_call")
    calls = is_call.sum().cast(pl.Int64)
    # The last call of a function's trial only finds that the function has ended.
    return [
        pl.col("start").filter(is_call).min().alias("began"),
        pl.col("end").filter(is_call).max().alias("ended"),
        took.filter(is_call).max().alias("slowest_ns"),
        pl.coalesce(pl.col("reports").sum().replace(0, None), calls).alias("results"),
        (is_call & pl.col("is_error")).sum().cast(pl.Int64).alias("errors"),
        pl.when(pl.col("held_ns").is_not_null().any()).then(pl.col("held_ns").sum()).alias("held_ns"),
        pl.col("actor_id").last().alias("actor_id"),
    ]


def _marks(trace: PreparedTrace) -> pl.DataFrame:
    rows = np.flatnonzero((trace.spans.get_column("name") == TRIAL_SPAN).to_numpy())
    attributes = pl.col("attributes")
    return (
        trace.spans.select("session", "job_id", "attributes")[rows]
        .with_columns(
            trial=told(attributes, TRIAL),
            experiment=told(attributes, EXPERIMENT),
            parameters=told(attributes, PARAMETERS),
            submitted=pl.Series(trace.structure.start[rows]),
        )
        .drop("attributes")
        .sort("submitted")
    )


def _runs(trace: PreparedTrace) -> pl.DataFrame:
    """Give the runs of trials: calls for the next result, and the trials' functions, with what these tell."""
    structure = trace.structure
    trial = told(trace.spans.get_column("attributes"), TRIAL)
    rows = np.flatnonzero(structure.is_run & trial.is_not_null().to_numpy())
    runs = _about(trace, rows).with_columns(trial=trial.gather(rows))
    return runs.join(_held(trace), on="row", how="left").sort("start", "row")


def _held(trace: PreparedTrace) -> pl.DataFrame:
    """Give by function (`row`) how many results it gave, and how long it was held until it could go on to the next."""
    structure = trace.structure
    attributes = trace.spans.get_column("attributes")
    is_report = (told(attributes, AWAITED) == REPORT_SPAN).fill_null(value=False).to_numpy()
    rows = np.flatnonzero(is_report & ~structure.is_run & (structure.run_above >= 0))
    held = pl.DataFrame(
        {
            "row": structure.run_above[rows],
            "held_ns": structure.end[rows] - structure.start[rows],
            "reports": told(attributes.gather(rows), REPORT).is_not_null().cast(pl.Int64),
        }
    )
    return held.group_by("row").agg(pl.col("held_ns", "reports").sum())


def _about(trace: PreparedTrace, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> pl.DataFrame:
    structure = trace.structure
    return trace.spans.select(
        "session",
        "job_id",
        "actor_id",
        is_error=pl.col("status") == "ERROR",
        # A program's own function may be called `train`, too.
        is_call=pl.col("function").str.contains(_TRAIN)
        & told(pl.col("attributes"), "ray.remote").ne_missing(pl.lit("function")),
    )[rows].with_columns(
        row=pl.Series(rows), start=pl.Series(structure.start[rows]), end=pl.Series(structure.end[rows])
    )


def _untold(trace: PreparedTrace) -> pl.DataFrame:
    """Take each actor that runs a function of Tune's for a trial; of its parameters nothing is known."""
    structure = trace.structure
    function = trace.spans.get_column("function").fill_null("")
    rows = np.flatnonzero(structure.is_run & function.str.ends_with(_FUNCTION_TRAINABLE).to_numpy())
    calls = _about(trace, rows).join(actor_labels(trace.spans), on=["session", "actor_id"], how="left")
    made = np.flatnonzero(structure.is_run & trace.runs.is_creation & (structure.submit >= 0))
    asked = pl.DataFrame(
        {
            "actor_id": trace.spans.get_column("actor_id").gather(made),
            "submitted": structure.start[structure.submit[made]],
        }
    )
    none = pl.lit(None, pl.Int64)
    summed = (
        calls.with_columns(trial="actor", reports=none, held_ns=none)
        .sort("start", "row")
        .group_by(KEY, maintain_order=True)
        .agg(*_sums())
        .join(asked.group_by("actor_id").agg(pl.col("submitted").min()), on="actor_id", how="left")
    )
    text = pl.lit(None, pl.String)
    return _finished(summed.with_columns(attempt=pl.lit(0, pl.Int64), experiment=text, parameters=text))
