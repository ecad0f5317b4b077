"""What a window has of its table."""

from typing import NamedTuple

import numpy as np
import polars as pl

from raytrace_analyze.prepared import Known
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.lineage import Nanos, RowIds

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


def parents_of(place: pl.Series, sizes: RowIds) -> RowIds:
    """Give for each row of whole traces, which lie one after the other, that of its parent; -1 for none.

    Takes where each row's parent is in its trace, and how many rows each trace has.
    """
    within = place.fill_null(-1).to_numpy()
    parent: RowIds = np.where(within >= 0, np.repeat(np.cumsum(sizes) - sizes, sizes) + within, -1)
    return parent
