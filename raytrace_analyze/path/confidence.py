"""How much of a path is certain, and what the rest rests on."""

import polars as pl

from raytrace_analyze.vocabulary.options import Inference

CONFIDENCE = pl.Schema(
    {
        "inference": pl.String,
        "function": pl.String,
        "total_ns": pl.Int64,
        "share": pl.Float64,
        "segments": pl.Int64,
    }
)
"""Columns of `CriticalPath.confidence`; `inference` is null for what is certain."""


def confidence(segments: pl.DataFrame, makespan_ns: int) -> pl.DataFrame:
    """Sum segments (columns of `SEGMENTS`, oldest first) by what they rest on and function: columns of `CONFIDENCE`.

    What is certain comes first, then the largest total.
    """
    duration = pl.col("duration_ns")
    return (
        segments.with_columns(inference=_inference(segments))
        .group_by("inference", "function")
        .agg(total_ns=duration.sum(), segments=pl.len())
        .with_columns(share=pl.col("total_ns") / max(makespan_ns, 1))
        .sort(pl.col("inference").is_not_null(), -pl.col("total_ns"), "inference", "function")
        .select(CONFIDENCE.names())
        .cast(CONFIDENCE)
    )


def _inference(segments: pl.DataFrame) -> pl.Series:
    """Tell for each segment the inference by which the walk, from the end to the start, came to what it is in.

    A run that inference led to is itself uncertain, with all that the walk found in it, up to where the walk leaves
    it by something recorded. So is the time in the queue before a run whose predecessor is inferred.
    """
    state, of = ("span_id", "trace_id", "via"), ["span_id", "trace_id", "via", "is_queue", "inferred"]
    told = segments.with_columns(is_queue=pl.col("category") == "queue").select(of)
    # A queue comes in a piece for each cause; together they are one stretch.
    begins = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in of)
    part = told.select(begins.cum_sum().cast(pl.UInt32) - 1).to_series().alias("part")
    parts = told.with_columns(part).unique("part", keep="first", maintain_order=True)
    is_new = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(-1)) for key in state)
    came_here = (pl.col("via") == "inferred").fill_null(False) & is_new
    leads_on = pl.col("is_queue") & came_here.shift(1).fill_null(False)
    first = pl.col("inferred") & ~pl.col("inferred").shift(-1).fill_null(False)
    after_queue = pl.col("is_queue").shift(-1).fill_null(False)
    found = (
        pl.when(leads_on | (first & pl.col("is_queue")) | (came_here & after_queue))
        .then(pl.lit(str(Inference.PREDECESSOR)))
        .when(came_here | first)
        .then(pl.lit(str(Inference.JOIN)))
    )
    # The walk goes from the end to the start: what comes later was found first.
    kind = parts.select(pl.when("inferred").then(found.backward_fill())).to_series()
    return kind.gather(part).alias("inference")
