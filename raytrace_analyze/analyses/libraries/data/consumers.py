"""Who takes the blocks of an execution of Ray Data, and how much of the job's path is there meanwhile.

A program may run several executions at once, or one beside other work: what the job's path does elsewhere while an
execution goes on is nothing that its program does with its blocks.
"""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.libraries.data.operators import Operators
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import Flags, RowIds

EXECUTION_KEYS = ("session", "job_id", "execution")
_DRIVER = -1
"""The flow of what is in no run: a driver's."""
_NOWHERE = -2
_DEEPEST = 64
"""So many calls deep below who takes the blocks is looked at."""


def consumed(
    trace: PreparedTrace, segments: pl.DataFrame, operators: Operators, executors: pl.DataFrame, bounds: pl.DataFrame
) -> pl.DataFrame:
    """Sum by execution the path's time at whoever takes its blocks, and at what they call: `consumed_ns`.

    `by_driver` tells whether the driver is among them.

    `segments` are of the jobs' paths (`row`, `start`, `end`), `executors` the runs of executions' own threads (`row`,
    `session`, `execution`), `bounds` the executions' (`session`, `job_id`, `execution`, `start_ns`, `end_ns`).
    Executions of which nobody is known to take anything have no row.
    """
    numbers = bounds.with_row_index("which").with_columns(pl.col("which").cast(pl.Int64))
    own = executors.join(numbers, on=["session", "execution"], how="inner")
    of_row = _execution_of_rows(trace, operators, own, numbers)
    takers = _takers(trace, of_row, own)
    job = trace.spans.select(pl.struct("session", "job_id").rank("dense")).to_series().to_numpy()
    of_job = dict(zip(of_row[::-1].tolist(), job[::-1].tolist(), strict=True))
    parts = segments.filter(pl.col("row") >= 0).sort("start")
    row, start, end = (parts.get_column(name).to_numpy() for name in ("row", "start", "end"))
    found = []
    for one in numbers.filter(pl.col("which").is_in(list(takers))).iter_rows(named=True):
        which, first, last = one["which"], one["start_ns"], one["end_ns"]
        near = np.flatnonzero((end > first) & (start < last))
        near = near[(job[row[near]] == of_job.get(which)) & (of_row[row[near]] < 0)]
        near = near[_is_below(trace, row[near], takers[which], of_row)]
        took = (np.minimum(end[near], last) - np.maximum(start[near], first)).sum()
        found.append({**{name: one[name] for name in EXECUTION_KEYS}, "consumed_ns": int(took)})
        found[-1]["by_driver"] = _DRIVER in takers[which]
    columns = {"consumed_ns": pl.Int64(), "by_driver": pl.Boolean()}
    return pl.DataFrame(found, schema={**dict.fromkeys(EXECUTION_KEYS, pl.String()), **columns})


def _execution_of_rows(trace: PreparedTrace, operators: Operators, own: pl.DataFrame, numbers: pl.DataFrame) -> RowIds:
    """Give by row which execution (its place in `numbers`) it is part of: of an operator, or its `own` thread's; -1."""
    keys = list(EXECUTION_KEYS)
    of_operator = operators.table.select(*keys).join(
        numbers.select(*keys, "which"), on=keys, how="left", nulls_equal=True, maintain_order="left"
    )
    which = of_operator.get_column("which").fill_null(-1).to_numpy()
    found = np.where(operators.of_row >= 0, which[operators.of_row], -1)
    structure = trace.structure
    run = np.where(structure.is_run, np.arange(structure.start.size), structure.run_above)
    of_thread = np.full(structure.start.size + 1, -1, dtype=np.int64)
    of_thread[own.get_column("row").to_numpy()] = own.get_column("which").to_numpy()
    return np.where(found >= 0, found, of_thread[run])


def _takers(trace: PreparedTrace, of_row: RowIds, own: pl.DataFrame) -> dict[int, set[int]]:
    """Give by execution the flows (runs, or a driver) that began it or waited for its blocks."""
    structure, ready = trace.structure, trace.runs.ready
    waits = np.repeat(np.arange(ready.first.size - 1), np.diff(ready.first))
    runs = ready.members
    asked = (of_row[runs] >= 0) & (of_row[waits] < 0)
    pairs = list(zip(of_row[runs[asked]].tolist(), structure.run_above[waits[asked]].tolist(), strict=True))
    rows = own.get_column("row").to_numpy()
    submit = structure.submit[rows]
    began = np.where(submit >= 0, structure.run_above[submit], _DRIVER)
    pairs += zip(own.get_column("which").to_list(), began.tolist(), strict=True)
    found: dict[int, set[int]] = {}
    for which, flow in pairs:
        found.setdefault(which, set()).add(max(flow, _DRIVER))
    return found


def _is_below(trace: PreparedTrace, rows: RowIds, flows: set[int], of_row: RowIds) -> Flags:
    """Tell which rows are in one of these flows, or in what they called; what other executions did is not."""
    structure = trace.structure
    flow = np.where(structure.is_run[rows], rows, structure.run_above[rows])
    wanted = np.array(sorted(flows))
    found = np.isin(flow, wanted)
    is_open = ~found & (flow >= 0)
    for _ in range(_DEEPEST):
        if not is_open.any():
            break
        run = flow[is_open]
        submit = structure.submit[run]
        # What another execution called is its own.
        is_known = (submit >= 0) & (of_row[submit] < 0)
        flow[is_open] = np.where(is_known, np.maximum(structure.run_above[submit], _DRIVER), _NOWHERE)
        found |= is_open & np.isin(flow, wanted)
        is_open &= ~found & (flow >= 0)
    return found
