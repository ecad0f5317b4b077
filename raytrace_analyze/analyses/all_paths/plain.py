"""Whether the paths of a table can be told window by window: nothing in it reaches beyond the traces of one time.

What a trace's path is told from lies in the trace itself, and in what ran at the time; on plain tasks nothing else has
a say. Actors live on, task events tell of more, and calls end what others began: such tables are looked at as a whole.
"""

import polars as pl

from raytrace_analyze.decode.column_types import EARLIEST_NS
from raytrace_analyze.names.serve import is_handle, is_proxy, is_route
from raytrace_analyze.names.spans import CANCEL, KILL
from raytrace_analyze.schema import EVENT_COLUMNS, FROM_EVENTS, NEEDED, TABLE
from raytrace_analyze.values import frozen

_ABSENT = ("actor_id", *(name for name in EVENT_COLUMNS if name != FROM_EVENTS))
"""Columns with no value at all in a plain table."""

_LONG = ("attributes", "events", "links", "resource", "source")
"""Columns that take long to be read, and are not asked about."""


@frozen
class Plain:
    """A table whose paths can be told window by window."""

    rows: int
    told: tuple[str, ...]
    """The columns that have any value, and those that were not asked about."""


def read_plain(table: pl.LazyFrame) -> Plain | None:
    """Look whether a table is plain, by few of its columns; None where it is not."""
    name = pl.col("name").unique()
    asked = table.select(
        pl.exclude(_LONG).null_count().name.prefix("no_"),
        rows=pl.len(),
        first=pl.min_horizontal("start", "end").min().to_physical(),
        is_backwards=(pl.col("end") < pl.col("start")).any(),
        from_events=pl.col(FROM_EVENTS).any(),
    )
    found = asked.collect(engine="streaming").row(0, named=True)
    rows, lacking = found["rows"], {name: found.get(f"no_{name}", 0) for name in TABLE}
    is_whole = not any(lacking[name] for name in (*NEEDED, "end")) and not found["from_events"]
    one_clock_each = lacking["host"] in (0, rows)
    is_bare = all(lacking[name] == rows for name in _ABSENT)
    if not rows or not (is_whole and is_bare and one_clock_each):
        return None
    if found["is_backwards"] or found["first"] < EARLIEST_NS:
        return None
    names = table.select(name).collect(engine="streaming").to_series()
    others = is_proxy(names) | is_route(names) | is_handle(names) | names.is_in([CANCEL, KILL])
    if others.any():
        return None
    return Plain(rows, tuple(name for name in TABLE if lacking[name] < rows))
