"""The order of rows in a table's file: a job's traces lie together, in order of start, and so do a trace's spans.

What is read of a file by job, time or trace is a part of it then.
"""

import polars as pl

from raytrace_analyze.schema import FROM_EVENTS
from raytrace_analyze.table.file.gathered import gathered

_BETWEEN = "\0"
_DIGITS = 20
"""Of a time in a key."""
_SIGN = 1 << 63


def trace_keys(table: pl.DataFrame) -> pl.DataFrame:
    """Give for each trace its place in a file: `trace_id`, `key` and how many `rows` it has.

    Takes whole traces of a table (columns of `schema.TABLE`). Keys are in the order of session, job, start and trace
    id. Those of a trace's spans count, not of attempts that only task events know, unless there is nothing else.
    """
    is_span = ~pl.col(FROM_EVENTS).fill_null(False) if FROM_EVENTS in table.columns else pl.lit(True)
    session, job, start = (
        pl.when(is_span.any()).then(pl.col(name).filter(is_span).min()).otherwise(pl.col(name).min())
        for name in ("session", "job_id", "start")
    )
    of_trace = table.group_by("trace_id").agg(
        session=session.fill_null(""), job=job.fill_null(""), start=start.to_physical().fill_null(0), rows=pl.len()
    )
    time = (pl.col("start").reinterpret(signed=False) ^ pl.lit(_SIGN, pl.UInt64)).cast(pl.String).str.zfill(_DIGITS)
    key = pl.concat_str("session", "job", time, "trace_id", separator=_BETWEEN)
    return of_trace.select("trace_id", "rows", key=key)


def in_file_order(table: pl.DataFrame) -> pl.DataFrame:
    """Put a table, or some whole traces of it, in the file's order: by trace, and there by start and id."""
    ranks = trace_keys(table).sort("key").select("trace_id").with_row_index("rank")
    placed = table.select("trace_id", "start", "span_id").with_row_index("row")
    placed = placed.join(ranks, on="trace_id", how="left").sort("rank", "start", "span_id")
    return gathered(table, placed.get_column("row"))
