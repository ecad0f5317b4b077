"""Whose clock timed which span: hosts, and processes whose times cannot be by their host's clock."""

import numpy as np
import polars as pl

from raytrace_analyze.clocks.happens_before import must_precede
from raytrace_analyze.table.hosts import CLOCK, Hosts, by_importance
from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.trace.span_arrays import Structure

_AT_MOST = 1000
"""So many processes of a host get a clock of their own at most."""


def split_hosts(structure: Structure, hosts: Hosts, broken: RowIds) -> Hosts:
    """Give a clock of their own to the processes of `broken` hosts (numbers) whose times contradict others'.

    One machine has one clock, so this is for what should not be: a clock that was set meanwhile, times that were
    written by something else.
    """
    each = _rows_with(structure.spans, hosts, structure.spans.select("pid"))
    processes = each.unique(CLOCK, maintain_order=True).with_row_index("process")
    process = each.join(processes, on=CLOCK, how="left", nulls_equal=True, maintain_order="left")
    number = process.get_column("process").cast(pl.Int64).to_numpy()
    pairs = must_precede(structure, number).filter(pl.col("violations") > 0)
    host_of = np.zeros(processes.height, dtype=np.int64)
    host_of[number] = hosts.of_row
    ends = np.concatenate([pairs.get_column(name).to_numpy() for name in ("first_host", "second_host")])
    counts = np.bincount(ends[np.isin(host_of[ends], broken)], minlength=processes.height)
    worst = np.argsort(-counts, kind="stable")[: min(int((counts > 0).sum()), _AT_MOST)]
    return split_off(structure.spans, hosts, processes[np.sort(worst)].select(CLOCK).drop_nulls("pid"))


def split_off(spans: pl.DataFrame, hosts: Hosts, processes: pl.DataFrame) -> Hosts:
    """Give a clock of their own to some processes (columns `session`, `host`, `pid`)."""
    if processes.is_empty():
        return hosts
    own = processes.with_columns(is_own=pl.lit(True))
    each = (
        _rows_with(spans, hosts, spans.select("pid", "category"))
        .join(own, on=CLOCK, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pid=pl.when("is_own").then("pid"))
    )
    is_driver = (pl.col("category") == "driver").any()
    table = by_importance(each.group_by(CLOCK).agg(spans=pl.len(), is_driver=is_driver))
    numbered = table.with_columns(number=pl.int_range(pl.len(), dtype=pl.Int64))
    found = each.select(CLOCK).join(numbered, on=CLOCK, how="left", nulls_equal=True, maintain_order="left")
    return Hosts(table, found.get_column("number").to_numpy())


def _rows_with(spans: pl.DataFrame, hosts: Hosts, columns: pl.DataFrame) -> pl.DataFrame:
    """Give some columns of the spans beside `session` and `host` of each one's host."""
    return hosts.table.select("session", "host")[hosts.of_row].hstack(columns)


def out_of_order_within(structure: Structure, hosts: Hosts) -> RowIds:
    """Find the hosts that one clock cannot have timed: a run began before its submit, or after its result was there.

    That a run ended after its result was there is no sign: so do generators.
    """
    run = np.flatnonzero(structure.submit >= 0)
    submit = structure.submit[run]
    early = np.flatnonzero(structure.start[run] < structure.start[submit])
    wait, waited = structure.ready_runs
    late = np.flatnonzero(structure.end[wait] < structure.start[waited])
    if late.size:
        late = late[_is_result(structure, wait[late], waited[late])]
    first, second = np.concatenate([submit[early], wait[late]]), np.concatenate([run[early], waited[late]])
    if second.size == 0:
        return second
    # Within one process there is one clock for sure.
    pid = structure.spans.get_column("pid").fill_null(-1).to_numpy()
    beside = (hosts.of_row[first] == hosts.of_row[second]) & (pid[first] != pid[second])
    beside &= (pid[first] >= 0) & (pid[second] >= 0)
    return np.unique(hosts.of_row[second[np.flatnonzero(beside)]])


def _is_result(structure: Structure, wait: RowIds, run: RowIds) -> Flags:
    """Tell the waits that came back with what these runs gave, for sure: they went well, and there was no other run."""
    spans = structure.spans
    well = (spans.get_column("status").gather(wait) != "ERROR").to_numpy() & ~structure.in_flight[wait]
    task = spans.select("session", structure.run_task)
    named = task[run].unique()
    counts = task.join(named, on=["session", "task_id"], nulls_equal=True).group_by("session", "task_id").len()
    found = task[run].join(counts, on=["session", "task_id"], how="left", nulls_equal=True, maintain_order="left")
    return np.asarray(well & (found.get_column("len") == 1).to_numpy())
