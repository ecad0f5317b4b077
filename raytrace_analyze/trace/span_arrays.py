"""The span table as arrays: who is whose parent, what each span is, when it really ended.

This is the part of the definition's "Before the walk" that does not depend on the scope: ends that are missing,
adoption, circles. Rows of the table are referred to by position, -1 is "none", times are ns since the epoch.
"""

from dataclasses import replace
from functools import cached_property

import numpy as np
import polars as pl

from raytrace_analyze.decode.records.times import time_of
from raytrace_analyze.names.attributes import ALIVE, told
from raytrace_analyze.names.functions import is_rays_own
from raytrace_analyze.names.spans import KEEP_SLOT
from raytrace_analyze.schema import PROCESS, Category
from raytrace_analyze.table.filled.handlers import inside_waits
from raytrace_analyze.table.filled.served import rejoin_requests
from raytrace_analyze.table.lineage import (
    Flags,
    Hashes,
    Nanos,
    RowIds,
    cut_circles,
    flags,
    mixed_hash,
    nearest_ancestor,
    parent_rows,
    run_flags,
)
from raytrace_analyze.trace.groups import latest_last
from raytrace_analyze.trace.task_ids import Tasks, named_runs, named_tasks
from raytrace_analyze.values import frozen


@frozen
class Structure:
    """What the walk needs to know of every span, one array element a row of `spans`."""

    spans: pl.DataFrame
    start: Nanos
    end: Nanos
    """Never missing: a span in flight gets the last time known of its process, else of its session."""
    in_flight: Flags
    parent: RowIds
    """After adoption, without circles."""
    lacks_parent: Flags
    """Rows that name a parent that is not in the table."""
    is_run: Flags
    is_submit: Flags
    run_task: pl.Series
    """Of runs: the id of the task that is run, by its own word, else its submit's."""
    adopted: RowIds
    """Rows that found a parent by task id or driver span, having none of their own."""
    circles: RowIds
    """Rows that lost their parent because it was their own descendant."""
    idle_waits: RowIds
    """Waits that have the times for which their threads were idle: all the while the runs keep their slots."""
    waited_besides: tuple[RowIds, RowIds]
    """Pairs of waits with the runs that they waited for, though no result says so."""

    def id_ranks(self, rows: RowIds) -> RowIds:
        """Rank the span ids of some rows among each other: the greater id wins a tie."""
        ids = self.spans.get_column("span_id").gather(rows)
        return ids.rank("dense").to_numpy().astype(np.int64)

    @cached_property
    def rays_own(self) -> Flags:
        """Tell what belongs to functions that Ray's libraries run for themselves."""
        functions = self.spans.get_column("function")
        names = functions.unique().drop_nulls()
        return flags(functions.is_in(names.filter(is_rays_own(names)).implode()))

    @cached_property
    def keeps_slot(self) -> Flags:
        """Tell the waits in which Ray does not take the slot back: all but those in its own `get` and `wait`."""
        keeps = flags(self.spans.get_column("name").is_in(KEEP_SLOT)).copy()
        keeps[self.idle_waits] = True
        return keeps

    @cached_property
    def mixed_session(self) -> Hashes:
        """The session's part in hashes of pairs of session and something else."""
        return mixed_hash(self.spans.get_column("session"))

    @cached_property
    def ready_runs(self) -> tuple[RowIds, RowIds]:
        """Pair waits with the runs of the tasks whose results they came back with."""
        return named_runs(self.ready_tasks, self.tasks)

    @cached_property
    def dependency_runs(self) -> tuple[RowIds, RowIds]:
        """Pair submits with the runs of the tasks whose results are their arguments."""
        return named_runs(self.dependency_tasks, self.tasks)

    def runs_named(self, lists: pl.Series) -> tuple[RowIds, RowIds]:
        """Pair rows with the runs of the tasks whose ids they list; `lists` has one element a row."""
        return named_runs(named_tasks(lists, self.mixed_session), self.tasks)

    @cached_property
    def ready_tasks(self) -> Tasks:
        """The tasks that waits name, with whose results they came back."""
        return named_tasks(self.spans.get_column("ready_task_ids"), self.mixed_session)

    @cached_property
    def dependency_tasks(self) -> Tasks:
        """The tasks that submits name, whose results are their arguments."""
        return named_tasks(self.spans.get_column("dependency_task_ids"), self.mixed_session)

    @cached_property
    def tasks(self) -> Tasks:
        """The tasks that runs execute, where their ids are known."""
        run = np.flatnonzero(self.run_task.is_not_null().to_numpy())
        return Tasks.of(run, self.run_task.gather(run), self.mixed_session)

    @cached_property
    def lateness(self) -> RowIds:
        """Number the runs so that the latest has the greatest number (by end, start, id); 0 for other spans."""
        late = np.zeros(self.start.size, dtype=np.int64)
        late[self.latest_last] = np.arange(self.latest_last.size)
        return late

    @cached_property
    def latest_last(self) -> RowIds:
        """Give the runs in the order of their lateness."""
        runs = np.flatnonzero(self.is_run)
        return runs[latest_last(self.end[runs], (-self.start[runs],), lambda some: self.id_ranks(runs[some]))]

    @cached_property
    def submit(self) -> RowIds:
        """Give for each run the row of its submit, -1 for runs without one and for other spans."""
        return np.where(self.is_run, self.parent, -1)

    @cached_property
    def run_above(self) -> RowIds:
        """Give for each span the run in whose control flow it lies, -1 where there is none; for a run -1."""
        return nearest_ancestor(self.nest_parent, self.is_run)

    @cached_property
    def nest_parent(self) -> RowIds:
        """Give for each nested span its parent, -1 for runs: within it a span's control flow lies."""
        return np.where(self.is_run, -1, self.parent)


def build_structure(spans: pl.DataFrame, known_parent: RowIds | None = None) -> Structure:
    """Read a span table (columns of `schema.TABLE`) into arrays.

    `known_parent` spares looking for the parents that spans name: it is as `parent_rows` gives it.
    """
    start = spans.get_column("start").to_physical().to_numpy().astype(np.int64)
    end, in_flight = _ends(spans)
    end = np.maximum(end, start)  # in tables that were not read by us, and for spans in flight after all known times
    span_id = spans.get_column("span_id")
    known = parent_rows(spans) if known_parent is None else known_parent
    lacks_parent = (known < 0) & spans.get_column("parent_id").is_not_null().to_numpy()
    parent, own_circles = cut_circles(known, start, span_id)
    # A run is what its own parent makes it; adoption never touches runs.
    is_run = run_flags(spans.get_column("kind"), parent)
    orphans = np.flatnonzero((parent < 0) & ~is_run)
    parent = np.where(is_run, parent, inside_waits(spans, rejoin_requests(spans, parent)))
    run_task = _run_task(spans, np.where(is_run, parent, -1), is_run)
    if orphans.size:
        hosts = spans.select(*PROCESS, "category", "span_id").with_columns(start=start, end=end)
        alone = orphans[parent[orphans] < 0]
        parent[alone] = _adopters(hosts, alone, is_run, run_task, spans.get_column("task_id"))
    adopted = orphans[parent[orphans] >= 0]
    circles = own_circles
    if adopted.size:
        parent, of_adoption = cut_circles(parent, start, span_id)
        circles = np.union1d(own_circles, of_adoption)
    return Structure(
        spans=spans,
        start=start,
        end=end,
        in_flight=in_flight,
        parent=parent,
        lacks_parent=lacks_parent,
        is_run=is_run,
        is_submit=(spans.get_column("kind") == "PRODUCER").to_numpy(),
        run_task=run_task,
        adopted=adopted,
        circles=circles,
        idle_waits=np.empty(0, dtype=np.int64),
        waited_besides=(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)),
    )


def with_times(structure: Structure, spans: pl.DataFrame) -> Structure:
    """Read the same spans with other times, shifted process by process: who belongs to whom stays as it was."""
    if structure.circles.size or structure.adopted.size:
        return build_structure(spans)  # there, times decide on that
    end, in_flight = _ends(spans)
    start = spans.get_column("start").to_physical().to_numpy().astype(np.int64)
    return replace(structure, spans=spans, start=start, end=end, in_flight=in_flight)


def _ends(spans: pl.DataFrame) -> tuple[RowIds, Flags]:
    in_flight = spans.get_column("end").is_null()
    if not in_flight.any():
        return spans.get_column("end").to_physical().to_numpy().astype(np.int64), in_flight.to_numpy()
    # What a driver wrote last into the record of its open span: it lived when nothing else happened any more.
    alive = told(pl.when(pl.col("end").is_null()).then(pl.col("attributes")), ALIVE)
    last = pl.max_horizontal("start", "end", "alive").max()
    of_process = last.over(PROCESS)
    spans = spans.select(*PROCESS, "start", "end", alive=time_of(alive))
    has_process = pl.col("pid").is_not_null()
    known = pl.when(has_process & (of_process > pl.col("start"))).then(of_process).otherwise(last.over("session"))
    end = spans.select(pl.col("end").fill_null(known)).get_column("end")
    return end.to_physical().to_numpy().astype(np.int64), in_flight.to_numpy()


def _run_task(spans: pl.DataFrame, submit: RowIds, is_run: Flags) -> pl.Series:
    own = spans.get_column("task_id")
    unnamed = np.flatnonzero(is_run & own.is_null().to_numpy() & (submit >= 0))
    if unnamed.size:
        own = own.scatter(unnamed, spans.get_column("submitted_task_id").gather(submit[unnamed]))
    return pl.select(pl.when(pl.Series(is_run)).then(own)).to_series().alias("task_id")


def _adopters(known: pl.DataFrame, orphans: RowIds, is_run: Flags, run_task: pl.Series, task_id: pl.Series) -> RowIds:
    """Find for spans without a parent the run of their task id, else the driver span, that contains their start.

    Only within one process: threads lose the context, processes do not. `known` holds for every span what tells
    processes apart, category, id, start and end; `task_id` is the spans' own word.
    """
    adopter = np.full(orphans.size, -1, dtype=np.int64)
    lost = (
        known.select(*PROCESS, "category", task_id, at="start")[orphans]
        .with_columns(orphan=pl.Series(orphans))
        .filter(pl.col("category") != pl.lit("driver", Category), pl.col("pid").is_not_null())
    )
    if lost.is_empty():
        return adopter
    hosts = known.lazy().with_columns(run_task, host=pl.int_range(pl.len(), dtype=pl.Int64))
    tasks = lost.get_column("task_id").drop_nulls().unique()
    is_named = pl.Series(is_run) & pl.col("task_id").is_in(tasks.implode())
    for host, keys in (
        (hosts.filter(is_named).collect() if tasks.len() else pl.DataFrame(), [*PROCESS, "task_id"]),
        (hosts.filter(pl.col("category") == pl.lit("driver", Category)).collect(), list(PROCESS)),
    ):
        if host.is_empty() or lost.is_empty():
            continue
        found = (
            lost.join(host.select(*keys, "host", "start", "end", "span_id"), on=keys, nulls_equal=True)
            .filter((pl.col("start") <= pl.col("at")) & (pl.col("at") <= pl.col("end")))
            .sort("start", "span_id")
            .unique("orphan", keep="last", maintain_order=True)
        )
        adopter[np.searchsorted(orphans, found.get_column("orphan").to_numpy())] = found.get_column("host").to_numpy()
        lost = lost.join(found, on="orphan", how="anti")
    return adopter
