"""What a caller of the library gives as spans: a span table, or what one can be made of."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import polars as pl

from raytrace_analyze.decode.column_types import check_times, check_types
from raytrace_analyze.decode.parquet import conform
from raytrace_analyze.decode.task_events import TASK_EVENTS
from raytrace_analyze.errors import UsageError
from raytrace_analyze.ingest.loading import read_spans
from raytrace_analyze.schema import TABLE

_NEEDED = ("trace_id", "span_id", "name", "kind", "category", "start", "end", "status", "session")
_MAY_BE_NULL = ("end", "session")
_NO_EVENTS = "leave them out: the span table has them in its rows"
_PASS = "pass rt.read_spans(PATH), a path, or a polars or pandas DataFrame of a table that merge wrote"


def table_of(given: Any) -> pl.DataFrame:
    """Give the span table (columns of `schema.TABLE`) that a caller means.

    Takes one as a polars DataFrame (as it is) or LazyFrame, as a pandas DataFrame or an Arrow table, or the path, or
    paths, of span files. Raises UsageError for anything else; the message says what to pass.
    """
    if isinstance(given, pl.DataFrame):
        return _checked(given)
    if isinstance(given, pl.LazyFrame):
        return _checked(given.collect())
    if isinstance(given, str | PathLike):
        return read_spans(given)
    if isinstance(given, Sequence) and given and all(isinstance(each, str | PathLike) for each in given):
        return read_spans(*given)
    if type(given).__module__.split(".", 1)[0] in ("pandas", "pyarrow"):
        return _converted(given)
    raise UsageError(f"these are no spans: {type(given).__name__}; {_PASS}")


def events_of(given: Any) -> pl.DataFrame | None:
    """Give Ray's task events as version 0.1.0 gave them beside the spans; None where there are none.

    Raises UsageError for anything but a polars DataFrame that tells of tasks.
    """
    if given is None:
        return None
    if not isinstance(given, pl.DataFrame):
        raise UsageError(f"these are no task events: {type(given).__name__}; {_NO_EVENTS}")
    if not given.is_empty() and "task_id" not in given.columns:
        raise UsageError(f"these are no task events, they lack the column task_id; {_NO_EVENTS}")
    check_types(given, TASK_EVENTS, "this table of task events")
    return None if given.is_empty() else given


def _checked(table: pl.DataFrame) -> pl.DataFrame:
    types = table.schema  # made anew whenever it is asked for
    missing = [name for name in _NEEDED if name not in types]
    if missing:
        raise UsageError(f"this table holds no spans, it lacks the columns {', '.join(missing)}; {_PASS}")
    known = [name for name in TABLE if name in types]
    if any(types[name] != TABLE[name] for name in known):
        check_types(table, TABLE, "this table")
        table = table.with_columns(pl.col(name).cast(TABLE[name], strict=False) for name in known)
    check_times(table.select(known), "this table")
    empty = [name for name in _NEEDED if name not in _MAY_BE_NULL and table.get_column(name).null_count()]
    if empty:
        raise UsageError(f"this table has rows whose {empty[0]} is null or of another type; {_PASS}")
    return table


def _converted(given: Any) -> pl.DataFrame:
    """Make a span table of a pandas DataFrame or an Arrow table."""
    kind = f"{type(given).__module__.split('.', 1)[0]} {type(given).__name__}"
    try:
        made = pl.DataFrame(given)
    except ImportError as error:
        raise UsageError(f"a {kind} is read with the help of pyarrow, which is not installed; {_PASS}") from error
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"this {kind} cannot be read as a table: {error}; {_PASS}") from error
    return conform(_checked(made), TABLE)
