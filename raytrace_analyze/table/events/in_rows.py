"""Task events in the rows of a span table's file, read by themselves."""

from pathlib import Path

import polars as pl

from raytrace_analyze.decode.column_types import check_types
from raytrace_analyze.decode.parquet import CANNOT_READ
from raytrace_analyze.decode.task_events import TASK_EVENTS
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.opened import for_polars, readable, whole_content
from raytrace_analyze.schema import EVENT_COLUMNS, FROM_EVENTS, TABLE
from raytrace_analyze.table.events.attempts import task_events_of

_OF_ATTEMPT = (
    *("session", "job_id", "task_id", "attempt", "function", "status_message"),
    *("actor_id", "node_id", "worker_id", "pid"),
)


def has_row_events(path: Path) -> bool:
    """Tell whether a table has task events in its rows: not one of version 1, nor one that cannot be read."""
    try:
        return FROM_EVENTS in pl.read_parquet_schema(for_polars(path))
    except CANNOT_READ:
        return False


def read_row_events(path: Path) -> pl.DataFrame:
    """Read the task events in the rows of a table (columns of `TASK_EVENTS`).

    None of a file that is damaged or has columns of other types, which reading its spans tells of.
    """
    try:
        table = pl.scan_parquet(whole_content(path), glob=False)
        check_types(table.head(0).collect(), TABLE, readable(path))
        present = table.collect_schema().names()
        told = [name for name in EVENT_COLUMNS if name in present]
        if any(name not in present for name in (*_OF_ATTEMPT, FROM_EVENTS)) or told == [FROM_EVENTS]:
            return TASK_EVENTS.to_frame()
        is_told = pl.any_horizontal(pl.col(name).is_not_null() for name in told if name != FROM_EVENTS)
        return task_events_of(table.select(*_OF_ATTEMPT, *told).filter(is_told).collect())
    except (*CANNOT_READ, UsageError):
        return TASK_EVENTS.to_frame()
