"""What could have made a span wait: the edges that the walk follows backwards.

`Runs` holds what is true of the whole table: which runs a wait or a submit speaks of, what ran on the same actor,
worker or job. `joins` depends on the scope: what a span can have waited for, each with a time.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from raytrace_analyze.lineage import Flags, Rows
from raytrace_analyze.path.grouped import Grouped, Timed, group_by_time, group_rows
from raytrace_analyze.path.scoped import Scoped
from raytrace_analyze.path.structure import Structure


@dataclass(frozen=True)
class Runs:
    """Relations between runs; positions are rows of the table."""

    ready: Grouped
    """By wait: the runs of the tasks whose results it came back with."""
    dependencies: Grouped
    """By submit: the runs of the tasks whose results are its arguments."""
    attempts: Grouped
    """By submit: its runs, one an attempt."""
    task: Rows
    """The number of the task that a run executes, -1 where its id is not known."""
    of_task: Grouped
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
    worker: Rows
    """The number of the worker process that a task's run was on."""
    on_worker: Timed
    job: Rows
    in_job: Timed


def relate_runs(structure: Structure) -> Runs:
    """Find the relations between the runs of a table."""
    spans, is_run = structure.spans, structure.is_run
    rows = np.flatnonzero(is_run)
    actor, actor_count = _number(spans, ["session", "actor_id"], is_run)
    worker, worker_count = _number(
        spans.with_columns(worker=pl.coalesce("worker_id", pl.format("{} {}", pl.col("node_id").fill_null(""), "pid"))),
        ["session", "worker"],
        is_run,
    )
    task, task_count = _number(spans.with_columns(structure.run_task), ["session", "task_id"], is_run)
    job, job_count = _number(spans, ["session", "job_id"], is_run)
    concurrent = spans.get_column("concurrent").fill_null(False).to_numpy()
    creation = spans.get_column("function").str.ends_with("__init__").fill_null(False).to_numpy()
    on_actor = _by_end(structure, actor, actor_count, rows)
    ready, ready_tasks = _named_runs(structure, "ready_task_ids")
    dependencies, dependency_tasks = _named_runs(structure, "dependency_task_ids")
    claimed = np.zeros(spans.height, dtype=np.bool_)
    claimed[ready_tasks] = True
    claimed[dependency_tasks] = True
    return Runs(
        ready=ready,
        dependencies=dependencies,
        attempts=group_rows(structure.submit[rows], spans.height, rows),
        task=task,
        of_task=group_rows(task[rows], task_count, rows),
        is_wait=spans.get_column("ready_task_ids").is_not_null().to_numpy(),
        recorded=_recorded(structure),
        claimed=claimed,
        is_creation=is_run & creation & (actor >= 0),
        actor=actor,
        serial_actor=_serial(structure, on_actor, actor_count, concurrent),
        on_actor=on_actor,
        worker=worker,
        on_worker=_by_end(structure, worker, worker_count, rows),
        job=job,
        in_job=_by_end(structure, job, job_count, rows),
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
    return group_by_time(
        owner,
        scoped.start.size,
        children,
        scoped.end[children],
        structure.is_submit[children].astype(np.int64),
        -scoped.start[children],
        structure.id_rank[children],
    )


def _inferred_owners(scoped: Scoped, guests: Rows) -> Rows:
    """Climb from each run's submit to the nearest ancestor that had not ended when the run ended.

    Climbing skips submits and goes through tasks; where nothing is left above, the virtual root takes the run.
    """
    structure, count = scoped.structure, scoped.span_count
    roots = count + scoped.scope_of[guests]
    run_end = scoped.end[guests]
    owner = scoped.parent[guests]
    while True:
        owner = np.where(owner < 0, roots, owner)
        too_early = (owner < count) & (
            structure.is_submit[np.minimum(owner, count - 1)] | (scoped.end[owner] < run_end)
        )
        if not too_early.any():
            return owner
        owner = np.where(too_early, scoped.parent[owner], owner)


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


def _named_runs(structure: Structure, column: str) -> tuple[Grouped, Rows]:
    """Find the runs of the task ids listed in a column, grouped by the row that lists them."""
    spans = structure.spans
    task = (
        spans.select("session", structure.run_task)
        .with_columns(run=pl.int_range(pl.len(), dtype=pl.Int64))
        .filter(pl.col("task_id").is_not_null())
    )
    named = (
        spans.select("session", pl.col(column).alias("task_id"))
        .with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
        .filter(pl.col("task_id").list.len() > 0)
        .explode("task_id")
        .join(task, on=["session", "task_id"], nulls_equal=True)
    )
    run = named.get_column("run").to_numpy()
    return group_rows(named.get_column("row").to_numpy(), spans.height, run), np.unique(run)


def _number(spans: pl.DataFrame, keys: list[str], is_run: Flags) -> tuple[Rows, int]:
    """Number the distinct keys of runs; -1 for other spans and where the last key is null."""
    struct = spans.select(pl.struct(keys).rank("dense") - 1).to_series()
    known = spans.get_column(keys[-1]).is_not_null().to_numpy() & is_run
    number = np.where(known, struct.to_numpy().astype(np.int64), -1)
    return number, int(number.max(initial=-1)) + 1


def _by_end(structure: Structure, group: Rows, group_count: int, rows: Rows) -> Timed:
    return group_by_time(
        group[rows],
        group_count,
        rows,
        structure.end[rows],
        -structure.start[rows],
        structure.id_rank[rows],
    )


def _serial(structure: Structure, on_actor: Timed, actor_count: int, concurrent: Flags) -> Flags:
    """Tell the actors whose runs never overlap in time."""
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
