"""Whose clock timed which span: hosts, and processes whose times cannot be by their host's clock."""

import numpy as np
import polars as pl

from raytrace_analyze.clocks.happens_before import must_precede
from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

_UNIT = ("session", "host", "pid")
_AT_MOST = 1000
"""So many processes of a host get a clock of their own at most."""


@frozen
class Hosts:
    """The hosts of a table, numbered by session and, within it, by importance: the driver's, then by spans."""

    table: pl.DataFrame
    """Columns `session`, `host`, and `pid` of a process that has a clock of its own, else null; the number of a host
    is its row."""
    of_row: RowIds
    """The number of each span's host."""


def number_hosts(spans: pl.DataFrame) -> Hosts:
    """Find the hosts: those that spans name, else a node id; spans that name neither share one."""
    if not spans.is_empty() and all(_is_constant(spans.get_column(name)) for name in ("session", "host")):
        only = spans.select("session", "host", pid=pl.lit(None, pl.Int64)).head(1)
        return Hosts(only, np.zeros(spans.height, dtype=np.int64))
    by = ["session", "host", "node_id"]
    is_driver = (pl.col("category") == "driver").any()
    places = spans.lazy().group_by(by).agg(spans=pl.len(), is_driver=is_driver).collect()
    # A span that names only its node is on the host that the others on that node name.
    names = pl.col("host").drop_nulls()
    of_node = pl.when(names.n_unique() == 1).then(names.min())
    places = places.with_columns(
        place=pl.coalesce(
            "host", pl.when(pl.col("node_id").is_not_null()).then(of_node.over("session", "node_id")), "node_id"
        )
    )
    table = _by_importance(places.select("session", "spans", "is_driver", host="place", pid=pl.lit(None, pl.Int64)))
    if table.height <= 1:
        return Hosts(table, np.zeros(spans.height, dtype=np.int64))
    numbered = table.with_columns(number=pl.int_range(pl.len(), dtype=pl.Int64))
    keys = places.join(numbered, left_on=["session", "place"], right_on=["session", "host"], nulls_equal=True)
    by = [name for name in by if keys.get_column(name).n_unique() > 1]
    found = spans.select(by).join(
        keys.select(*by, "number"), on=by, how="left", nulls_equal=True, maintain_order="left"
    )
    return Hosts(table, found.get_column("number").to_numpy())


def split_hosts(structure: Structure, hosts: Hosts, broken: RowIds) -> Hosts:
    """Give a clock of their own to the processes of `broken` hosts (numbers) whose times contradict others'.

    One machine has one clock, so this is for what should not be: a clock that was set meanwhile, times that were
    written by something else.
    """
    each = _rows_with(structure.spans, hosts, structure.spans.select("pid"))
    processes = each.unique(_UNIT, maintain_order=True).with_row_index("process")
    process = each.join(processes, on=_UNIT, how="left", nulls_equal=True, maintain_order="left")
    number = process.get_column("process").cast(pl.Int64).to_numpy()
    pairs = must_precede(structure, number).filter(pl.col("violations") > 0)
    host_of = np.zeros(processes.height, dtype=np.int64)
    host_of[number] = hosts.of_row
    ends = np.concatenate([pairs.get_column(name).to_numpy() for name in ("first_host", "second_host")])
    counts = np.bincount(ends[np.isin(host_of[ends], broken)], minlength=processes.height)
    worst = np.argsort(-counts, kind="stable")[: min(int((counts > 0).sum()), _AT_MOST)]
    return split_off(structure.spans, hosts, processes[np.sort(worst)].select(_UNIT).drop_nulls("pid"))


def split_off(spans: pl.DataFrame, hosts: Hosts, processes: pl.DataFrame) -> Hosts:
    """Give a clock of their own to some processes (columns `session`, `host`, `pid`)."""
    if processes.is_empty():
        return hosts
    own = processes.with_columns(is_own=pl.lit(True))
    each = (
        _rows_with(spans, hosts, spans.select("pid", "category"))
        .join(own, on=_UNIT, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pid=pl.when("is_own").then("pid"))
    )
    is_driver = (pl.col("category") == "driver").any()
    table = _by_importance(each.group_by(_UNIT).agg(spans=pl.len(), is_driver=is_driver))
    numbered = table.with_columns(number=pl.int_range(pl.len(), dtype=pl.Int64))
    found = each.select(_UNIT).join(numbered, on=_UNIT, how="left", nulls_equal=True, maintain_order="left")
    return Hosts(table, found.get_column("number").to_numpy())


def _by_importance(places: pl.DataFrame) -> pl.DataFrame:
    return (
        places.group_by(_UNIT)
        .agg(pl.col("spans").sum(), pl.col("is_driver").any())
        .sort("session", "is_driver", "spans", "host", "pid", descending=[False, True, True, False, False])
        .select(_UNIT)
    )


def _rows_with(spans: pl.DataFrame, hosts: Hosts, columns: pl.DataFrame) -> pl.DataFrame:
    """Give some columns of the spans beside `session` and `host` of each one's host."""
    return hosts.table.select("session", "host")[hosts.of_row].hstack(columns)


def _is_constant(column: pl.Series) -> bool:
    """Tell whether all values are the same, and known."""
    return not column.null_count() and bool((column == column[0]).all())


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
