"""What could have made a span wait: the edges that the walk follows backwards.

`Runs` holds what is true of the whole table: which runs a wait or a submit speaks of, what ran on the same actor,
worker or job. `joins` depends on the scope: what a span can have waited for, each with a time.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from raytrace_analyze.lineage import Flags, Rows, pair_hash
from raytrace_analyze.path.climb import first_above
from raytrace_analyze.path.grouped import Timed, group_in_order, latest_last
from raytrace_analyze.path.scoped import Scoped
from raytrace_analyze.path.structure import Structure


@dataclass(frozen=True)
class Runs:
    """Relations between runs; positions are rows of the table. Groups are in order of the runs' ends."""

    structure: Structure
    ready: Timed
    """By wait: the runs of the tasks whose results it came back with."""
    dependencies: Timed
    """By submit: the runs of the tasks whose results are its arguments."""
    is_wait: Flags
    recorded: Flags
    """Of runs: waits and dependencies of whoever submitted it were recorded."""
    claimed: Flags
    """Of runs: some wait lists its task as ready, or some submit as a dependency."""
    is_creation: Flags
    actor: Rows
    """The number of the actor that a run is on, -1 for tasks."""
    serial_actor: Flags
    """By actor number: its runs never overlap, and none is async or threaded."""
    on_actor: Timed

    @cached_property
    def attempts(self) -> Timed:
        """By submit: its runs, one an attempt."""
        structure = self.structure
        return _by_end(structure, structure.submit, structure.spans.height)

    @cached_property
    def task(self) -> Rows:
        """The number of the task that a run executes, -1 where its id is not known."""
        return self._numbered_tasks[0]

    @cached_property
    def of_task(self) -> Timed:
        """By number of the task: its runs."""
        return _by_end(self.structure, *self._numbered_tasks)

    @cached_property
    def _numbered_tasks(self) -> tuple[Rows, int]:
        return _number(self.structure, self.structure.run_task)

    @cached_property
    def on_worker(self) -> Timed:
        """By number of the worker process: the runs there."""
        return _by_end(self.structure, *self._numbered_workers)

    @cached_property
    def worker(self) -> Rows:
        """The number of the worker process that a run was on, -1 where that is not known."""
        return self._numbered_workers[0]

    @cached_property
    def _numbered_workers(self) -> tuple[Rows, int]:
        spans = self.structure.spans
        worker = spans.get_column("worker_id")
        if worker.filter(pl.Series(self.structure.is_run)).null_count():
            process = pl.format("{} {}", pl.col("node_id").fill_null(""), "pid")
            worker = spans.select(worker=pl.coalesce("worker_id", process)).get_column("worker")
        return _number(self.structure, worker)

    @cached_property
    def in_job(self) -> Timed:
        """By number of the job: its runs."""
        return _by_end(self.structure, *self._numbered_jobs)

    @cached_property
    def job(self) -> Rows:
        """The number of the job that a run belongs to, -1 where that is not known."""
        return self._numbered_jobs[0]

    @cached_property
    def _numbered_jobs(self) -> tuple[Rows, int]:
        return _number(self.structure, self.structure.spans.get_column("job_id"))


def relate_runs(structure: Structure) -> Runs:
    """Find the relations between the runs of a table."""
    spans = structure.spans
    actor, actor_count = _number(structure, spans.get_column("actor_id"))
    on_actor = _by_end(structure, actor, actor_count)
    ready = _named_runs(structure, "ready_task_ids")
    dependencies = _named_runs(structure, "dependency_task_ids")
    claimed = np.zeros(spans.height, dtype=np.bool_)
    claimed[ready.members] = True
    claimed[dependencies.members] = True
    return Runs(
        structure=structure,
        ready=ready,
        dependencies=dependencies,
        is_wait=spans.get_column("ready_task_ids").is_not_null().to_numpy(),
        recorded=_recorded(structure),
        claimed=claimed,
        is_creation=_creations(spans, actor),
        actor=actor,
        serial_actor=_serial(structure, on_actor, actor_count),
        on_actor=on_actor,
    )


def joins(scoped: Scoped, runs: Runs, *, infer: bool) -> Timed:
    """Give, by span or virtual root, the children it can have waited for, in order of when they ended.

    Those are its nested children and, with `infer`, runs that nobody claims and whose waits were not recorded.
    """
    structure = scoped.structure
    count = scoped.span_count
    nested = np.flatnonzero((scoped.parent[:count] >= 0) & ~structure.is_run & ~scoped.detached[:count])
    guests = np.empty(0, dtype=np.int64)
    if infer:
        by_async = _submitted_by_async(structure)
        guests = np.flatnonzero(
            structure.is_run & (scoped.scope_of[:count] >= 0) & ~runs.claimed & (~runs.recorded | by_async)
        )
    children = np.concatenate([nested, guests])
    owner = np.concatenate([scoped.parent[nested], _inferred_owners(scoped, guests)])
    ended = scoped.end[children]
    ties = (structure.is_submit[children].astype(np.int64), -scoped.start[children])
    order = latest_last(ended, ties, lambda some: structure.id_ranks(children[some]))
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    return group_in_order(owner, scoped.start.size, children, place, ended)


def _inferred_owners(scoped: Scoped, guests: Rows) -> Rows:
    """Climb from each run's submit to the nearest ancestor that had not ended when the run ended.

    Climbing skips submits and goes through tasks; where nothing is left above, the virtual root takes the run.
    """
    structure, count = scoped.structure, scoped.span_count
    lasts_until = np.where(structure.is_submit, np.iinfo(np.int64).min, scoped.end[:count])
    owner = first_above(scoped.parent[:count], lasts_until, scoped.parent[guests], scoped.end[guests])
    return np.where(owner < 0, count + scoped.scope_of[guests], owner)


def _recorded(structure: Structure) -> Flags:
    recorded = structure.spans.get_column("records_waits").fill_null(False).to_numpy()
    submit = structure.submit
    return structure.is_run & np.where(submit >= 0, recorded[submit], recorded)


def _submitted_by_async(structure: Structure) -> Flags:
    """Tell the runs that an async (or threaded) method submitted, whose awaits may be missing."""
    concurrent = structure.spans.get_column("concurrent").fill_null(False).to_numpy() & structure.is_run
    above = structure.nest_parent.copy()
    while True:
        open_rows = np.flatnonzero(above >= 0)
        open_rows = open_rows[structure.nest_parent[above[open_rows]] >= 0]
        if open_rows.size == 0:
            break
        above[open_rows] = above[above[open_rows]]
    submit = structure.submit
    outermost = np.where(submit >= 0, above[submit], -1)
    return (outermost >= 0) & concurrent[outermost]


def _named_runs(structure: Structure, column: str) -> Timed:
    """Find the runs of the task ids listed in a column, grouped by the row that lists them."""
    spans = structure.spans
    session = spans.get_column("session")
    listed = np.flatnonzero((spans.get_column(column).list.len() > 0).fill_null(False).to_numpy())
    runs = np.flatnonzero(structure.is_run)
    named = pl.DataFrame({"row": listed, "task_id": spans.get_column(column).gather(listed)})
    tasks = pl.DataFrame({"run": runs, "task_id": structure.run_task.gather(runs)})
    keys = ["task_id"]
    if session.n_unique() > 1:
        keys.append("session")
        named = named.with_columns(session.gather(listed))
        tasks = tasks.with_columns(session.gather(runs))
    found = (
        named.explode("task_id")
        .filter(pl.col("task_id").is_not_null())
        .join(tasks.filter(pl.col("task_id").is_not_null()), on=keys, nulls_equal=True)
    )
    run = found.get_column("run").to_numpy()
    return group_in_order(
        found.get_column("row").to_numpy(), spans.height, run, structure.lateness[run], structure.end[run]
    )


def _number(structure: Structure, key: pl.Series) -> tuple[Rows, int]:
    """Number the distinct pairs of session and `key` among runs; -1 for other spans and where the key is null."""
    rows = np.flatnonzero(structure.is_run & key.is_not_null().to_numpy())
    number = np.full(structure.is_run.size, -1, dtype=np.int64)
    if rows.size == 0:
        return number, 0
    # Sorting hashes takes half the time of grouping strings; two keys in 10^7 share one once in 300,000 tables.
    hashes = pair_hash(structure.spans.get_column("session").gather(rows), key.gather(rows))
    order = np.argsort(hashes)
    changes = np.zeros(rows.size, dtype=np.int64)
    changes[1:] = hashes[order[1:]] != hashes[order[:-1]]
    of_sorted = np.cumsum(changes)
    number[rows[order]] = of_sorted
    return number, int(of_sorted[-1]) + 1


def _by_end(structure: Structure, group: Rows, group_count: int) -> Timed:
    """Group runs in order of their ends."""
    rows = np.flatnonzero(group >= 0)
    return group_in_order(group[rows], group_count, rows, structure.lateness[rows], structure.end[rows])


def _creations(spans: pl.DataFrame, actor: Rows) -> Flags:
    """Tell the runs that create an actor."""
    creations = np.zeros(actor.size, dtype=np.bool_)
    on_actor = np.flatnonzero(actor >= 0)
    function = spans.get_column("function").gather(on_actor)
    creations[on_actor] = function.str.ends_with("__init__").fill_null(False).to_numpy()
    return creations


def _serial(structure: Structure, on_actor: Timed, actor_count: int) -> Flags:
    """Tell the actors whose runs never overlap in time."""
    concurrent = structure.spans.get_column("concurrent").fill_null(False).to_numpy()
    serial = np.ones(actor_count, dtype=np.bool_)
    members = on_actor.members
    actor = np.repeat(np.arange(actor_count), np.diff(on_actor.first))
    order = np.lexsort((structure.end[members], structure.start[members], actor))
    members, actor = members[order], actor[order]
    same = actor[1:] == actor[:-1]
    overlap = same & (structure.start[members[1:]] < structure.end[members[:-1]])
    serial[actor[1:][overlap]] = False
    serial[actor[concurrent[members]]] = False
    return serial
