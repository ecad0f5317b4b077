"""What runs waited for while they ran, summed up by for whom and in what."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED, told
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.path.all_scopes import stepper_of
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.walk.via import code
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.busy_time import covered
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.vocabulary.paths import Via

OWN_WAITS = pl.Schema(
    {
        "function": pl.String,
        "awaited": pl.String,
        "call": pl.String,
        "count": pl.Int64,
        "waited_ns": pl.Int64,
        "longest_ns": pl.Int64,
        "span_id": pl.String,
        "awaited_span_id": pl.String,
    }
)
"""Columns of `TaskStory.own_waits`: `function` is of the run that was waited for (of several the last one), or that let
it go on; `(driver)` for the driver, null where nothing tells. `awaited` is what it waited in where that was no call of
Ray's, `call` the span's name. `waited_ns` counts the time of several at once once; `span_id` is the longest wait, and
`awaited_span_id` the span that this one was for."""

_FOR_SOMEBODY = tuple(code(via) for via in (Via.WAIT, Via.WAKER, Via.CONSUMER))


def own_waits(trace: PreparedTrace, runs: RowIds) -> pl.DataFrame:
    """Sum up the waits within some runs (rows): columns of `OWN_WAITS`, the longest first."""
    waits = waits_within(trace.structure, trace.runs, runs)
    if waits.size == 0:
        return OWN_WAITS.to_frame()
    structure, spans = trace.structure, trace.spans
    about = spans.select("span_id", "name", "attributes")[waits]
    each = pl.DataFrame(
        {
            "awaited": told(about.get_column("attributes"), AWAITED),
            "call": about.get_column("name"),
            "span_id": about.get_column("span_id"),
            "start": structure.start[waits],
            "end": structure.end[waits],
        }
    ).hstack(_for_whom(trace, waits))
    keys = ["function", "awaited", "call"]
    each = each.with_columns(group=pl.struct(keys).rank("dense"), took=(pl.col("end") - pl.col("start")).clip(0))
    together = covered(*(each.get_column(name).to_numpy() for name in ("group", "start", "end")))
    return (
        each.sort("took", "span_id", descending=[True, False])
        .group_by("group", maintain_order=True)
        .agg(pl.col(*keys, "span_id", "awaited_span_id").first(), count=pl.len(), longest_ns=pl.col("took").first())
        .join(together, left_on="group", right_on="owner", how="left")
        .with_columns(waited_ns=pl.col("covered_ns").fill_null(0))
        .sort("waited_ns", "span_id", descending=[True, False])
        .select(pl.col(name).cast(kind) for name, kind in OWN_WAITS.items())
    )


def waits_within(structure: Structure, relations: Runs, runs: RowIds) -> RowIds:
    """Give the waits (rows) within some runs that are not part of others."""
    is_wait = relations.is_wait
    waits = np.flatnonzero(is_wait & np.isin(structure.run_above, runs))
    parent = structure.nest_parent[waits]
    return waits[(parent < 0) | ~is_wait[np.maximum(parent, 0)]]


def _for_whom(trace: PreparedTrace, waits: RowIds) -> pl.DataFrame:
    """Tell by wait whom the path would go on to from its end: `function`, `awaited_span_id`."""
    structure, scoped = trace.structure, trace.scoped("jobs")
    hops = stepper_of(trace, scoped, PathOptions()).take(waits, scoped.end[waits])
    inside = np.isin(hops.via, _FOR_SOMEBODY) & (hops.next_row >= 0) & (hops.next_row < scoped.span_count)
    row = np.where(hops.blocker >= 0, hops.blocker, np.where(inside, hops.next_row, -1))
    known = row >= 0
    run = np.where(structure.is_run[row], row, structure.run_above[row])
    names = trace.spans.get_column("function").gather(pl.Series(run).set(pl.Series(~known | (run < 0)), None))
    is_driver = pl.Series(known & (run < 0))
    ids = trace.spans.get_column("span_id").gather(pl.Series(row).set(pl.Series(~known), None))
    return pl.DataFrame({"function": names.set(is_driver, DRIVER), "awaited_span_id": ids})
