"""Whether the paths of a table can be told window by window: nothing in it reaches beyond the traces of one time.

What a trace's path is told from lies in the trace itself, and in what ran at the time; on plain tasks nothing else has
a say. Actors live on, task events tell of more, and calls end what others began: such tables are looked at as a whole.
"""

import polars as pl

from raytrace_analyze.decode.column_types import EARLIEST_NS
from raytrace_analyze.names.serve import is_handle, is_proxy, is_route
from raytrace_analyze.names.spans import CANCEL, KILL
from raytrace_analyze.schema import EVENT_COLUMNS, FROM_EVENTS, NEEDED, TABLE

_ABSENT = ("actor_id", *(name for name in EVENT_COLUMNS if name != FROM_EVENTS))
"""Columns with no value at all in a plain table."""

TOLD = tuple(name for name in TABLE if name not in (*_ABSENT, FROM_EVENTS))
"""The columns that a plain table may have a value in."""


def traces_in_plain(table: pl.LazyFrame) -> pl.DataFrame | None:
    """Give the traces of a table, as `cut_into_windows` takes them; None where it is not plain."""
    asked = table.select(pl.col("host").null_count(), rows=pl.len(), from_events=pl.col(FROM_EVENTS).any())
    found = asked.collect(engine="streaming").row(0, named=True)
    one_clock_each = found["host"] in (0, found["rows"])
    if not found["rows"] or found["from_events"] or not one_clock_each:
        return None
    # Asked like this, the file's statistics tell.
    others = table.filter(pl.any_horizontal(pl.col(_ABSENT).is_not_null()))
    if others.select(pl.len()).collect(engine="streaming").item():
        return None
    traces = _traces(table)
    is_sound = not traces.get_column("trace_id").null_count() and not traces.get_column("unsound").any()
    return traces.drop("unsound") if is_sound else None


def _traces(table: pl.LazyFrame) -> pl.DataFrame:
    start, end = pl.col("start").to_physical(), pl.col("end").to_physical()
    placed = table.select("trace_id", "start", "end").with_row_index("at")
    of_trace = placed.group_by("trace_id").agg(
        start=start.min(),
        end=end.max(),
        rows=pl.len(),
        at=pl.col("at").min(),
        unsound=(start.is_null() | end.is_null() | (end < start) | (start < EARLIEST_NS)).any(),
    )
    return of_trace.collect(engine="streaming")


def are_plain(spans: pl.DataFrame) -> bool:
    """Tell whether rows of a table whose traces are told do not say otherwise: what they lack, and what they are."""
    if any(spans.select(NEEDED).null_count().row(0)):
        return False
    names = spans.get_column("name").unique()
    others = is_proxy(names) | is_route(names) | is_handle(names) | names.is_in([CANCEL, KILL])
    return not others.any()
