"""Makes sure that a table's times can be computed with, and tells where they had to be changed."""

import polars as pl

from raytrace_analyze.model import Problem, ProblemKind
from raytrace_analyze.units import duration_text


def clamp_ends(spans: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
    """Let spans that end before they start end as they start, and tell how many there were.

    A clock that is set back while a span is open makes such spans. Nothing that took less than no time has a place on a
    path: it would be longer than the job. Takes and gives a span table, or records of one (`start` and `end`).
    """
    backwards = spans.filter(pl.col("end") < pl.col("start"))
    if backwards.is_empty():
        return spans, ()
    first = backwards.row(0, named=True)
    most = backwards.select((pl.col("start") - pl.col("end")).max().dt.total_nanoseconds()).item()
    detail = (
        f"{backwards.height:,} of {spans.height:,} spans end before they start, by up to {duration_text(most)} (first: "
        f"span {first['span_id']}, {first['name']}): a clock was set back; they are taken to end as they start"
    )
    problem = Problem(ProblemKind.BACKWARDS, first["source"] or "", None, detail, backwards.height)
    return spans.with_columns(end=pl.when(pl.col("end") < pl.col("start")).then("start").otherwise("end")), (problem,)
