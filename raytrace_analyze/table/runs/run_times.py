"""How long runs took, waited to start, and took to submit: the one rule, on columns.

A run's queue time is from the end of its submit (of a retry: from the end of the attempt before) to its start, at
least 0. What a submit took is told once, with its first attempt.
"""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import CPU_NS, told
from raytrace_analyze.table.lineage import RowIds, flags

FIGURES = ("is_run", "is_open", "is_retried", "run_ns", "queue_ns", "submit_ns", "cpu_ns", "cpu_run_ns")
"""The columns that `figures.sum_up` makes sums of."""


def add_times(rows: pl.DataFrame, earlier: RowIds, later: RowIds) -> pl.DataFrame:
    """Add `run_ns`, `queue_ns`, `submit_ns`, `is_open`, `is_retried` and `cpu_run_ns`, which runs have.

    `rows` has `start` and `end` (null in flight), `cpu_ns`, and in ns `end_ns`, the last time known of what is in
    flight; of a run that was submitted `submit_start` and `submit_end`, and `submit`, a number. `earlier` and `later`
    pair the positions of a task's attempts with the next ones.
    """
    end, submit = (rows.get_column(name) for name in ("end_ns", "submit"))
    before = pl.Series([None], dtype=pl.Int64).new_from_index(0, rows.height).scatter(later, end.gather(earlier))
    is_retried = np.zeros(rows.height, dtype=np.bool_)
    is_retried[earlier] = True
    is_first = np.ones(rows.height, dtype=np.bool_)
    is_first[later[submit.gather(later).eq_missing(submit.gather(earlier)).to_numpy()]] = False
    start = pl.col("start").to_physical()
    ready = pl.max_horizontal("submit_end", before)
    submit_ns = (pl.col("submit_end") - pl.col("submit_start")).clip(lower_bound=0)
    return rows.with_columns(
        run_ns=(pl.col("end") - pl.col("start")).dt.total_nanoseconds(),
        queue_ns=pl.when(pl.col("submit_end").is_not_null()).then((start - ready).clip(lower_bound=0)),
        submit_ns=pl.when(pl.Series(is_first)).then(submit_ns),
        is_open=pl.col("end").is_null(),
        is_retried=pl.Series(is_retried),
    ).with_columns(cpu_run_ns=pl.when(pl.col("cpu_ns").is_not_null()).then("run_ns"))


def cpu_ns(attributes: pl.Series) -> pl.Series:
    """Read the CPU time (ns) that the sampler tells of spans, from their attributes; null where it tells none."""
    sampled = np.flatnonzero(flags(attributes.str.contains(CPU_NS, literal=True)))
    found = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(attributes))
    if not sampled.size:
        return found
    return found.scatter(sampled, told(attributes.gather(sampled), CPU_NS).cast(pl.Int64, strict=False))
