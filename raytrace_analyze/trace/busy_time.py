"""How much of their time runs worked: what they took, less what they waited."""

import numpy as np
import polars as pl

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.span_arrays import Structure


def work_ns(structure: Structure, rows: RowIds) -> int:
    """Sum the time (ns) of the runs among `rows`, less the time in which some recorded wait of theirs was open.

    A run's waits are those anywhere in its control flow, threads included; waits side by side count once.
    """
    inside = np.zeros(structure.spans.height, dtype=np.bool_)
    inside[rows] = True
    run = np.flatnonzero(structure.is_run & inside)
    took = int(np.maximum(structure.end[run] - structure.start[run], 0).sum())
    is_wait = structure.spans.get_column("ready_task_ids").is_not_null().to_numpy() & ~structure.is_run
    waits = np.flatnonzero(is_wait)
    owner = structure.run_above[waits]
    waits, owner = waits[owner >= 0], owner[owner >= 0]
    waits, owner = waits[inside[owner]], owner[inside[owner]]
    return took - _covered(
        owner,
        np.maximum(structure.start[waits], structure.start[owner]),
        np.minimum(structure.end[waits], structure.end[owner]),
    )


def _covered(owner: RowIds, start: Nanos, end: Nanos) -> int:
    """Sum, over the owners, the time that their intervals cover together."""
    intervals = pl.DataFrame({"owner": owner, "start": start, "end": end}).filter(pl.col("end") > pl.col("start"))
    before = pl.col("end").cum_max().shift(1).over("owner")
    fresh = pl.col("end") - pl.max_horizontal("start", before)
    return int(intervals.sort("owner", "start").select(fresh.clip(lower_bound=0).sum()).item() or 0)
