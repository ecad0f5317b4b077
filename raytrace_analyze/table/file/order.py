"""The order of rows in a table's file: a job's traces lie together, and so do a trace's spans.

What is read of a file by job or trace is a part of it then; the statistics of its row groups tell which.
"""

import polars as pl

from raytrace_analyze.schema import FROM_EVENTS
from raytrace_analyze.table.file.gathered import gathered

_BETWEEN = "\0"


def trace_keys(table: pl.DataFrame) -> pl.DataFrame:
    """Give for each trace its place in a file: `trace_id`, `key` and how many `rows` it has.

    Takes whole traces of a table (columns of `schema.TABLE`). Keys are in the order of session, job and trace id. Those
    of a trace's spans count, not of attempts that only task events know, unless there is nothing else.
    """
    is_span = ~pl.col(FROM_EVENTS).fill_null(False) if FROM_EVENTS in table.columns else pl.lit(True)
    session, job = (
        pl.when(is_span.any()).then(pl.col(name).filter(is_span).min()).otherwise(pl.col(name).min()).fill_null("")
        for name in ("session", "job_id")
    )
    of_trace = table.group_by("trace_id").agg(session=session, job=job, rows=pl.len())
    key = pl.concat_str("session", "job", "trace_id", separator=_BETWEEN)
    return of_trace.select("trace_id", "rows", key=key)


def in_file_order(table: pl.DataFrame) -> pl.DataFrame:
    """Put a table, or some whole traces of it, in the file's order: by trace, and there by start and id."""
    ranks = trace_keys(table).sort("key").select("trace_id").with_row_index("rank")
    placed = table.select("trace_id", "start", "span_id").with_row_index("row")
    placed = placed.join(ranks, on="trace_id", how="left").sort("rank", "start", "span_id")
    return gathered(table, placed.get_column("row"))
