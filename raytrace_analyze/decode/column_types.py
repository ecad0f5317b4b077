"""Whether the columns of a Parquet file can be those of a table of ours: checked once, where it is read."""

from collections.abc import Mapping

import polars as pl

from raytrace_analyze.errors import UsageError
from raytrace_analyze.schema import TIME

_POINTS_IN_TIME = (pl.Datetime, pl.Date)
_CATEGORIES = (pl.Categorical, pl.Enum)
_TEXTS = (pl.String, *_CATEGORIES)
EARLIEST_NS = -86_400_000_000_000
_NOTHING_OF_ANOTHER = (pl.Binary, pl.Object)
"""What no other type is made of: bytes need not be text."""


def check_types(rows: pl.DataFrame, columns: Mapping[str, pl.DataType], path: str) -> None:
    """Raise UsageError, which names the file by `path`, for a column whose type has nothing of the one it should have.

    A column that is not there, or one more than there should be, is nothing to complain of here.
    """
    for name, wanted in columns.items():
        found = rows.schema.get(name)
        if found is not None and not _fits(found, wanted):
            raise UsageError(
                f"{path} is no table of ours: its column {name} holds {_named(found)}, not {_named(wanted)}; merge the "
                "span files anew"
            )


def check_times(rows: pl.DataFrame, path: str) -> None:
    """Raise UsageError for times (of `schema.TIME`) before 1970: with them a difference may be beyond 64 bits.

    A day before it is let through: times of a clock that is off, or was corrected, in a table that counts from there.
    """
    for name, earliest in _earliest(rows).items():
        if earliest is not None and earliest < EARLIEST_NS:
            raise UsageError(f"{path} has times before 1970 in its column {name}; merge the span files anew")


def _earliest(rows: pl.DataFrame) -> dict[str, int | None]:
    found = rows.select(pl.col(TIME).to_physical().min())
    return dict(zip(found.columns, found.row(0), strict=True)) if found.width else {}


def _fits(found: pl.DataType, wanted: pl.DataType) -> bool:
    if found == pl.Null:
        return True
    if isinstance(wanted, pl.List):
        return isinstance(found, pl.List) and _fits(_inner(found), _inner(wanted))
    if found.is_nested() or found in _NOTHING_OF_ANOTHER:
        return False
    if wanted == TIME:
        return found in _POINTS_IN_TIME
    if isinstance(wanted, pl.Enum):
        return found in _TEXTS
    return found != pl.Duration if wanted == pl.String else found not in _CATEGORIES


def _inner(dtype: pl.List) -> pl.DataType:
    inner = dtype.inner
    return inner if isinstance(inner, pl.DataType) else inner()


def _named(dtype: pl.DataType) -> str:
    return f"List of {_named(_inner(dtype))}" if isinstance(dtype, pl.List) else str(dtype).partition("(")[0]
