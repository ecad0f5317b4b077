"""Makes sure that a table's times can be computed with, and tells where they had to be changed."""

import polars as pl

from raytrace_analyze.model import Problem
from raytrace_analyze.table.noticed import backwards, backwards_problems


def clamp_ends(spans: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
    """Let spans that end before they start end as they start, and tell how many there were.

    A clock that is set back while a span is open makes such spans. Nothing that took less than no time has a place on a
    path: it would be longer than the job. Takes and gives a span table, or records of one (`start` and `end`).
    """
    found = backwards(spans)
    return (clamped(spans) if found.count else spans), tuple(backwards_problems([found]))


def clamped(spans: pl.DataFrame) -> pl.DataFrame:
    """Give the spans with no end before their start."""
    return spans.with_columns(end=pl.when(pl.col("end") < pl.col("start")).then("start").otherwise("end"))
