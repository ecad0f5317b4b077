"""Steps that the program marked itself."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import CALL_SITE, STEP, told
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import RowIds


def marked_steps(trace: PreparedTrace, rows: RowIds, wanted: set[int] | None) -> pl.DataFrame | None:
    """Give the marks among some rows, of the runs that are `wanted` (None: all); None where there are none.

    Columns: `flow`, `step`, `start`, `end` (ns), `at`, in order of flow and start. A mark within another is left out.
    """
    structure = trace.structure
    above = structure.run_above[rows]
    spans = trace.spans.select("attributes", "session", "pid")[rows]
    step = told(spans.get_column("attributes"), STEP).cast(pl.Int64, strict=False)
    is_mark = step.is_not_null().to_numpy()
    if wanted is not None:
        is_mark &= np.isin(above, list(wanted))
    if not is_mark.any():
        return None
    process = spans.select(pl.struct("session", "pid").rank("dense")).to_series().cast(pl.Int64).to_numpy()
    marks = pl.DataFrame(
        {
            "flow": np.where(above >= 0, above, -1 - process),
            "step": step,
            "start": structure.start[rows],
            "end": structure.end[rows],
            "at": told(spans.get_column("attributes"), CALL_SITE).str.split("\n").list.first(),
            "is_mark": is_mark,
        }
    )
    ended_before = pl.col("end").cum_max().shift(1).over("flow")
    return (
        marks.filter("is_mark")
        .sort("flow", "start", "end", descending=[False, False, True])
        .filter((pl.col("start") >= ended_before).fill_null(value=True))
        .drop("is_mark")
    )
