"""The calls of a program's flows of control: a driver's, a task's, a method's, each in order of time."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import CALL_SITE, told
from raytrace_analyze.names.spans import GET
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.vocabulary.spans import SpanCategory

CALLS = (SpanCategory.SUBMIT, SpanCategory.WAIT, SpanCategory.PUT)


def calls_of(trace: PreparedTrace, rows: RowIds) -> pl.DataFrame:
    """Give the submits, waits and puts among some rows, by flow and in order of start.

    Columns: `row`; `flow`, the row of the run that makes the call, below 0 for what is in none, by process; `key`,
    which tells the calls of a flow apart: what is called, and where in the program as far as that is known, and for
    calls of `ray.get` that stand in one line also what came back, where each comes back as often as the others; `site`,
    that place; `name`; `is_wait`, `is_submit`; `start`, `end` (ns). A wait within another call is part of it.
    """
    structure = trace.structure
    spans = structure.spans.select("name", "category", "attributes", "session", "pid")[rows]
    above = structure.run_above[rows]
    process = spans.select(pl.struct("session", "pid").rank("dense")).to_series().cast(pl.Int64).to_numpy()
    site = told(pl.col("attributes"), CALL_SITE)
    return (
        spans.with_columns(
            row=pl.Series(rows),
            flow=pl.Series(np.where(above >= 0, above, -1 - process)),
            start=pl.Series(structure.start[rows]),
            end=pl.Series(structure.end[rows]),
            inside=pl.Series(_within_another(trace, rows)),
            came=_came_back(trace, rows),
        )
        .filter(pl.col("category").cast(pl.String).is_in([str(each) for each in CALLS]), ~pl.col("inside"))
        .with_columns(site=site)
        .with_columns(came=pl.when(_are_apart()).then("came"))
        .select(
            "row",
            "flow",
            "name",
            "start",
            "end",
            "site",
            key=pl.concat_str(
                pl.concat_str("name", "came", separator=" ", ignore_nulls=True),
                pl.col("site").fill_null(""),
                separator="\n",
            ),
            is_wait=pl.col("category").cast(pl.String) == SpanCategory.WAIT,
            is_submit=pl.col("category").cast(pl.String) == SpanCategory.SUBMIT,
        )
        .sort("flow", "start", "row")
    )


def _within_another(trace: PreparedTrace, rows: RowIds) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    structure = trace.structure
    is_wait = trace.runs.is_wait & ~structure.is_run
    parent = structure.nest_parent[rows]
    return np.where(parent >= 0, is_wait[parent], False)


def _came_back(trace: PreparedTrace, rows: RowIds) -> pl.Series:
    """Give for calls of `ray.get` the function of the run that they waited for last, null for others."""
    structure, ready = trace.structure, trace.runs.ready
    function = structure.spans.get_column("function")
    if ready.members.size == 0:
        return pl.Series("came", [None], dtype=pl.String).new_from_index(0, rows.size)
    is_get = (structure.spans.get_column("name").gather(rows) == GET).to_numpy()
    has_any = is_get & (ready.first[rows + 1] > ready.first[rows])
    last = ready.members[np.maximum(ready.first[rows + 1] - 1, 0)]
    return function.gather(pl.Series(last).set(pl.Series(~has_any), None)).alias("came")


def _are_apart() -> pl.Expr:
    """Tell the calls of one line that are several: each of what they come back with comes as often as the others."""
    place = ["flow", "name", "site"]
    times = pl.len().over(*place, "came")
    kinds = pl.col("came").n_unique().over(place)
    evenly = times.max().over(place) - times.min().over(place) <= 1
    is_told = pl.col("site").is_not_null() & (pl.col("came").null_count().over(place) == 0)
    return is_told & (kinds > 1) & evenly
