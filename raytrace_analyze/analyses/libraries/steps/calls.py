"""What a program called in each step, place by place: how long it took, and which call was the slowest."""

import polars as pl

from raytrace_analyze.names.attributes import ARGUMENT_BYTES, PUT_BYTES, told
from raytrace_analyze.prepared import PreparedTrace

CALLS = pl.Schema(
    {
        **dict.fromkeys(("bound", "order", "step"), pl.Int64),
        **dict.fromkeys(("call", "at"), pl.String),
        "is_wait": pl.Boolean,
        **dict.fromkeys(("calls", "took_ns"), pl.Int64),
        **dict.fromkeys(("slowest_function", "slowest_on", "slowest_actor_id"), pl.String),
        **dict.fromkeys(("slowest_ns", "others_ns", "argument_bytes", "put_bytes"), pl.Int64),
    }
)
"""Columns of `sum_calls`."""


def sum_calls(trace: PreparedTrace, calls: pl.DataFrame, bounds: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """Sum the calls of each step by place of the program: columns of `CALLS`, in order of step and first call.

    `bounds` are the steps, `calls` those of their flows among others, `named` what actors are called. `bound` is the
    row of the step in `bounds`, `order` the place in it: by first call.
    """
    placed = _within(calls, bounds)
    about = trace.spans.select("attributes")[placed.get_column("row").to_numpy()].get_column("attributes")
    placed = placed.with_columns(
        took=pl.col("end") - pl.col("start"),
        argument_bytes=told(about, ARGUMENT_BYTES).cast(pl.Int64, strict=False),
        put_bytes=told(about, PUT_BYTES).cast(pl.Int64, strict=False),
    )
    by_place = placed.group_by("bound", "step", "key", maintain_order=True).agg(
        call=pl.col("name").first(),
        first=pl.col("start").min(),
        at=pl.col("site").first().str.split("\n").list.first(),
        is_wait=pl.col("is_wait").first(),
        calls=pl.len().cast(pl.Int64),
        took_ns=pl.col("took").sum(),
        argument_bytes=pl.col("argument_bytes").sum(),
        put_bytes=pl.col("put_bytes").sum(),
    )
    by_place = by_place.with_columns(order=pl.col("first").rank("ordinal").over("bound") - 1)
    found = by_place.join(_slowest(trace, placed, named), on=["bound", "key"], how="left", maintain_order="left")
    return found.select(CALLS.names()).cast(CALLS)


def _within(calls: pl.DataFrame, bounds: pl.DataFrame) -> pl.DataFrame:
    """Put each call into the step of its flow in which it began; those outside of all are left out."""
    steps = bounds.with_row_index("bound").select(
        pl.col("bound").cast(pl.Int64), "flow", "step", began="start", until="end"
    )
    return (
        calls.sort("start", "row")
        .join_asof(steps.sort("began"), left_on="start", right_on="began", by="flow", check_sortedness=False)
        .filter(pl.col("bound").is_not_null(), pl.col("start") < pl.col("until"))
        .sort("bound", "start", "row")
    )


def _slowest(trace: PreparedTrace, placed: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """Give for each step and place, of the runs that its waits came back with, the one that ended last."""
    ready, structure = trace.runs.ready, trace.structure
    waits = placed.filter("is_wait").select("bound", "key", "row")
    sizes = pl.Series([ready.of(row) for row in waits.get_column("row").to_list()], dtype=pl.List(pl.Int64))
    came = waits.with_columns(run=sizes).explode("run").filter(pl.col("run").is_not_null())
    run = came.get_column("run").to_numpy()
    about = trace.spans.select("function", "actor_id", "session")[run]
    return (
        pl.concat([came, about], how="horizontal")
        .with_columns(ended=pl.Series(structure.end[run]), ran=pl.Series(structure.end[run] - structure.start[run]))
        .join(named, on=["session", "actor_id"], how="left", maintain_order="left")
        .sort("bound", "key", "ended", maintain_order=True)
        .group_by("bound", "key", maintain_order=True)
        .agg(
            slowest_function=pl.col("function").last(),
            slowest_on=pl.col("actor").last(),
            slowest_actor_id=pl.col("actor_id").last(),
            slowest_ns=pl.col("ran").last(),
            others_ns=pl.col("ran").head(pl.len() - 1).median().round().cast(pl.Int64),
        )
    )
