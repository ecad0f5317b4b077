"""The span table as arrays: who is whose parent, what each span is, when it really ended.

This is the part of the definition's "Before the walk" that does not depend on the scope: ends that are missing,
adoption, circles. Rows of the table are referred to by position, -1 is "none", times are ns since the epoch.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from raytrace_analyze.inherit import run_flags
from raytrace_analyze.lineage import Flags, Rows, cut_circles, parent_rows
from raytrace_analyze.schema import PROCESS, Category


@dataclass(frozen=True)
class Structure:
    """What the walk needs to know of every span, one array element a row of `spans`."""

    spans: pl.DataFrame
    start: Rows
    end: Rows
    """Never missing: a span in flight gets the last time known of its process, else of its session."""
    in_flight: Flags
    parent: Rows
    """After adoption, without circles."""
    is_run: Flags
    is_submit: Flags
    id_rank: Rows
    """Order of the span ids: the greater id wins a tie."""
    adopted: Rows
    """Rows that found a parent by task id or driver span, having none of their own."""
    circles: Rows
    """Rows that lost their parent because it was their own descendant."""

    @cached_property
    def submit(self) -> Rows:
        """Give for each run the row of its submit, -1 for runs without one and for other spans."""
        return np.where(self.is_run, self.parent, -1)

    @cached_property
    def nest_parent(self) -> Rows:
        """Give for each nested span its parent, -1 for runs: within it a span's control flow lies."""
        return np.where(self.is_run, -1, self.parent)


def build_structure(spans: pl.DataFrame) -> Structure:
    """Read a span table (columns of `schema.TABLE`) into arrays."""
    start = spans.get_column("start").to_physical().to_numpy().astype(np.int64)
    end, in_flight = _ends(spans)
    id_rank = spans.get_column("span_id").rank("dense").to_numpy().astype(np.int64)
    own_parent = parent_rows(spans)
    # A run is what its own parent makes it; adoption never touches runs.
    is_run = run_flags(spans.get_column("kind"), own_parent)
    parent = own_parent.copy()
    orphans = np.flatnonzero((parent < 0) & ~is_run)
    parent[orphans] = _adopters(spans, orphans, is_run, start, end)
    parent, circles = cut_circles(parent, start, id_rank)
    return Structure(
        spans=spans,
        start=start,
        end=end,
        in_flight=in_flight,
        parent=parent,
        is_run=is_run,
        is_submit=(spans.get_column("kind") == "PRODUCER").to_numpy(),
        id_rank=id_rank,
        adopted=orphans[parent[orphans] >= 0],
        circles=circles,
    )


def _ends(spans: pl.DataFrame) -> tuple[Rows, Flags]:
    last = pl.max_horizontal("start", "end").max()
    of_process = last.over(PROCESS)
    in_flight = spans.get_column("end").is_null()
    if not in_flight.any():
        return spans.get_column("end").to_physical().to_numpy().astype(np.int64), in_flight.to_numpy()
    known = pl.when(of_process > pl.col("start")).then(of_process).otherwise(last.over("session"))
    end = spans.select(pl.col("end").fill_null(known)).get_column("end")
    return end.to_physical().to_numpy().astype(np.int64), in_flight.to_numpy()


def _adopters(spans: pl.DataFrame, orphans: Rows, is_run: Flags, start: Rows, end: Rows) -> Rows:
    """Find for spans without a parent the run of their task id, else the driver span, that contains their start.

    Only within one process: threads lose the context, processes do not.
    """
    adopter = np.full(orphans.size, -1, dtype=np.int64)
    is_driver = (spans.get_column("category") == "driver").to_numpy()
    lost = pl.DataFrame({"orphan": orphans, "at": start[orphans]}).with_columns(
        spans.select(*PROCESS, "task_id", "category")[orphans]
    )
    lost = lost.filter(pl.col("category") != pl.lit("driver", Category))
    has_task = spans.get_column("task_id").is_not_null().to_numpy()
    for hosts, keys in ((is_run & has_task, [*PROCESS, "task_id"]), (is_driver, list(PROCESS))):
        rows = np.flatnonzero(hosts)
        if rows.size == 0 or lost.is_empty():
            continue
        host = pl.DataFrame({"host": rows, "host_start": start[rows], "host_end": end[rows]}).with_columns(
            spans.select(keys)[rows]
        )
        found = (
            lost.join(host, on=keys, nulls_equal=True)
            .filter((pl.col("host_start") <= pl.col("at")) & (pl.col("at") <= pl.col("host_end")))
            .sort("host_start", "host")
            .unique("orphan", keep="last", maintain_order=True)
        )
        adopter[np.searchsorted(orphans, found.get_column("orphan").to_numpy())] = found.get_column("host").to_numpy()
        lost = lost.join(found, on="orphan", how="anti")
    return adopter
