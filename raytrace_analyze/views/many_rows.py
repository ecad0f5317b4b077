"""The rows of results as text for programs, many at a time: as JSON, and as lines of CSV."""

import json
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from raytrace_analyze.text.printable import printable

AT_ONCE = 16_384
"""Rows that are text at a time: as many as they may be, they take no more memory than that."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
_NEEDS_CARE = r'[^\x20-\x7e]|^[=+\-@]|[",]'
"""Texts among which are all that do not stand in CSV as they are."""
_IS_QUOTED = re.compile('[",\r\n]')


def stretches(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Give the rows of a DataFrame, some at a time."""
    return frame.iter_slices(AT_ONCE)


def json_rows(frame: pl.DataFrame) -> str:
    """Give rows as a JSON array on one line.

    Raises ValueError for numbers that JSON does not have.
    """
    if all(map(_is_spelled_alike, frame.dtypes)):
        return frame.write_json()
    return json.dumps(frame.to_dicts(), ensure_ascii=False, allow_nan=False)


def csv_rows(frame: pl.DataFrame) -> str:
    """Give rows as lines of CSV; null is nothing.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, and what would act on a terminal
    becomes U+FFFD.
    """
    if frame.width == 0 or frame.height == 0:
        return ""
    cells = frame.select(_cells(column).fill_null("") for column in frame.iter_columns())
    if frame.width == 1:  # a line of nothing would be none
        cells = cells.with_columns(pl.all().replace({"": '""'}))
    return "".join(cells.select(pl.concat_str(pl.all(), separator=",") + "\n").to_series().to_list())


def csv_line(texts: list[str]) -> str:
    """Give a line of CSV with names in it, as they are."""
    return ",".join(map(_quoted, texts)) + "\n"


def _is_spelled_alike(dtype: pl.DataType) -> bool:
    """Tell whether polars spells values of a type as `json` does: of floats it writes other digits."""
    if isinstance(dtype, pl.List):
        return _is_spelled_alike(dtype.inner)  # type: ignore[arg-type]
    return dtype.is_integer() or dtype in (pl.String, pl.Boolean, pl.Null)


def _cells(column: pl.Series) -> pl.Series:
    """Give what stands in CSV for the values of a column; null stays null."""
    if column.dtype == pl.Boolean:
        return column.replace_strict({True: "True", False: "False"}, return_dtype=pl.String)
    if column.dtype.is_integer():
        return column.cast(pl.String)
    if column.dtype != pl.String:
        return pl.Series(
            column.name, [None if value is None else _cell(value) for value in column.to_list()], pl.String
        )
    with_care = column.str.contains(_NEEDS_CARE).fill_null(value=False)
    if not with_care.any():
        return column
    changed = [_cell(text) for text in column.filter(with_care)]
    return column.scatter(with_care.arg_true(), changed)


def _cell(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value)
    text = str(value)
    return _quoted(f"'{printable(text)}" if text.startswith(_FORMULA) else printable(text))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _IS_QUOTED.search(text) else text
