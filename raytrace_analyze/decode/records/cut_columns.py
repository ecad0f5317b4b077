"""Columns cut out of records that are laid out alike."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from raytrace_analyze.decode.records.alike import Alike, Block, Offsets, Sorted
from raytrace_analyze.decode.records.columns import as_raw, on_one_line
from raytrace_analyze.decode.records.record import Record

_BETWEEN = "\n"
_BREAK = b"\n"


def cut_columns(block: Block, found: Sorted, others: Sequence[Record]) -> pl.DataFrame:
    """Give the columns of `columns.as_raw` for all records of the block, in their order.

    `others` are those that are like none. What is the same in all records of a layout comes from its example.
    """
    values = as_raw([*(alike.layout.example for alike in found.alike), *others])
    row = np.zeros(len(found.starts), np.int64)
    for number, alike in enumerate(found.alike):
        row[alike.rows] = number
    row[found.others] = np.arange(len(found.alike), len(values))
    same = values[row]
    columns = {name: _column(block, same.get_column(name), places) for name, places in _places(found).items()}
    if any(_BREAK in alike.layout.literals[:-1] for alike in found.alike):
        columns["attributes"] = on_one_line(columns["attributes"])
    return same.with_columns(**columns)


Places = tuple[Offsets, Offsets]
"""For each record where the text of its own for a column starts, and its length; -1 where it has none."""


def _places(found: Sorted) -> dict[str, Places]:
    places: dict[str, Places] = {}
    for alike in found.alike:
        for name, at, length in _places_of(alike):
            if name not in places:
                places[name] = np.zeros(len(found.starts), np.int64), np.full(len(found.starts), -1)
            places[name][0][alike.rows] = at
            places[name][1][alike.rows] = length
    return places


def _places_of(alike: Alike) -> Iterator[tuple[str, Offsets, Offsets | int]]:
    yield "attributes", *alike.attributes
    for number, run in enumerate(alike.layout.runs):
        for place in run.fixed:
            if place.name is not None:
                yield place.name, alike.runs[number] + place.start, place.width
        if run.name is not None:
            yield run.name, alike.runs[number] + len(run.text), alike.lengths[number]


def _column(block: Block, same: pl.Series, places: Places) -> pl.Series:
    """Give a column: the text that a record has of its own, else what is the same in all."""
    at, length = places
    is_own = length >= 0
    if same.dtype == pl.List(pl.String):
        own = _lists(block, at, length)
    else:
        own = block.texts(at, np.maximum(length, 0)).cast(same.dtype, strict=False)
    return own.alias(same.name) if is_own.all() else own.zip_with(pl.Series(is_own), same).alias(same.name)


def _lists(block: Block, at: Offsets, length: Offsets) -> pl.Series:
    """Make lists of the texts between brackets, in which no string is empty or has an escape."""
    full = np.flatnonzero(length > 0)
    number = np.zeros(len(at), np.uint32)
    number[full] = np.arange(1, len(full) + 1)
    lists = pl.Series([[]], dtype=pl.List(pl.String))
    if len(full):
        texts = block.texts(at[full], length[full])
        items = texts.str.strip_chars('" \t\r\n').str.replace_all(r'"\s*,\s*"', _BETWEEN).str.split(_BETWEEN)
        lists = pl.concat([lists, items])
    return lists.gather(number)
