"""What a window has of its table."""

from typing import NamedTuple

import numpy as np
import polars as pl

from raytrace_analyze.prepared import Known
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.lineage import Nanos, RowIds, first_of_each

SHOWN_ONLY = ("events", "links", "resource", "source")
"""Columns that no path is told from."""


class WindowSpans(NamedTuple):
    """The rows of a window."""

    spans: pl.DataFrame
    """In order of start, trace and id: columns of `schema.TABLE`, some of them null."""
    known: Known | None
    """What is known of them by where they stand in the file, if anything."""


def with_all_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """Give rows with all columns of `schema.TABLE`: those that are not there are null."""
    return rows.select(
        pl.col(name) if name in rows.columns else pl.lit(None, dtype).alias(name) for name, dtype in TABLE.items()
    )


def order_by_start(rows: pl.DataFrame, held: RowIds) -> RowIds:
    """Give the order of those rows that are `held` by start, trace and id, as positions among these.

    Texts are compared only of those that start at once.
    """
    start: Nanos = rows.get_column("start").to_physical().to_numpy()[held]
    order: RowIds = np.argsort(start, kind="stable")
    ordered = start[order]
    equal = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    if tied.size:
        alike = order[tied]
        named = rows.select("start", "trace_id", "span_id")[held[alike]]
        order[tied] = alike[named.select(pl.arg_sort_by("start", "trace_id", "span_id")).to_series().to_numpy()]
    return order


def parents_of(rows: pl.DataFrame) -> RowIds:
    """Give for each row of some whole traces, each of which lies together, that of its parent; -1 for none.

    Takes `trace_id` and `parent_place`.
    """
    place = rows.get_column("parent_place")
    first = first_of_each(rows.get_column("trace_id"))
    parent: RowIds = np.where(place.is_null().to_numpy(), -1, first + place.fill_null(0).to_numpy())
    return parent
