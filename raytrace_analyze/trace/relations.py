"""Relations between the runs of a whole table, the edges that the walk follows backwards.

Which runs a wait or a submit speaks of, what ran on the same actor, worker or job. What a span can have waited for
within a scope is in `joins`.
"""

from functools import cached_property

import numpy as np
import polars as pl

from raytrace_analyze.names.spans import creates_actor
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.table.runs.numbered import join_tasks, next_attempts, shared
from raytrace_analyze.trace.asof import NEVER
from raytrace_analyze.trace.groups import Timed, group_in_order, group_sorted, latest_last
from raytrace_analyze.trace.numbering import by_end, number_pairs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen


@frozen
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
    actor: RowIds
    """The number of the actor that a run is on, -1 for tasks."""
    clock_shift: Nanos | None
    """By row: what was added to its times (ns), and is to be added to others its process stamped; None for nothing."""
    serial_actor: Flags
    """By actor number: its runs never overlap, and none is async or threaded."""
    on_actor: Timed

    @cached_property
    def of_submit(self) -> Timed:
        """By submit: its runs, one an attempt."""
        structure = self.structure
        return by_end(structure, structure.submit, structure.spans.height)

    @cached_property
    def same_task(self) -> RowIds:
        """A number for the task of each run; -1 where neither its id nor its submit is known.

        The one rule for attempts: runs are attempts of one task if they have their submit or their task id in common.
        """
        return join_tasks(*self._numbered_tasks, self.structure.submit)

    @cached_property
    def attempts(self) -> Timed:
        """By number of `same_task`: its runs, where there are several."""
        return by_end(self.structure, shared(self.same_task), int(self.same_task.max(initial=-1)) + 1)

    def next_attempts(self, rows: RowIds) -> tuple[RowIds, RowIds]:
        """Pair each of some runs with the next attempt of its task among them, in order of start."""
        earlier, later = next_attempts(self.same_task[rows], self.structure.start[rows])
        return rows[earlier], rows[later]

    @cached_property
    def retries(self) -> Timed:
        """By submit: its runs, where there are several."""
        structure = self.structure
        return by_end(structure, shared(structure.submit), structure.spans.height)

    @cached_property
    def task(self) -> RowIds:
        """The number of the task that a run executes, -1 where its id is not known."""
        return self._numbered_tasks[0]

    @cached_property
    def of_task(self) -> Timed:
        """By number of the task: its runs, where there are several."""
        number, count = self._numbered_tasks
        return by_end(self.structure, shared(number), count)

    @cached_property
    def _numbered_tasks(self) -> tuple[RowIds, int]:
        return number_pairs(self.structure, self.structure.run_task, self.structure.is_run)

    @cached_property
    def on_worker(self) -> Timed:
        """By number of the worker process: the runs there."""
        return by_end(self.structure, *self._numbered_workers)

    @cached_property
    def worker(self) -> RowIds:
        """The number of the worker process that a run was on, -1 where that is not known."""
        return self._numbered_workers[0]

    @cached_property
    def _numbered_workers(self) -> tuple[RowIds, int]:
        spans = self.structure.spans
        worker = spans.get_column("worker_id")
        if worker.filter(pl.Series(self.structure.is_run)).null_count():
            process = pl.format("{} {}", pl.col("node_id").fill_null(""), "pid")
            worker = spans.select(worker=pl.coalesce("worker_id", process)).get_column("worker")
        return number_pairs(self.structure, worker, self.structure.is_run)

    @cached_property
    def held_until(self) -> Nanos:
        """By row: until when a run of a task held its slot: its end, or when its results were stored (ns)."""
        if self.stored_until is self.structure.end:
            return self.structure.end
        return np.where(self.actor < 0, self.stored_until, self.structure.end)

    @cached_property
    def stored_until(self) -> Nanos:
        """By row: when a run's results were stored; its end where that is not told (ns)."""
        structure = self.structure
        stored = structure.spans.get_column("profile_store_outputs_end")
        if stored.null_count() == len(stored):
            return structure.end
        after = stored.to_physical().fill_null(0).to_numpy().astype(np.int64)
        return np.where(structure.is_run, np.maximum(structure.end, after), structure.end)

    @cached_property
    def arguments_there(self) -> Nanos:
        """By row: when whoever submitted a run's task had all its arguments, by Ray's word (ns); NEVER: not known."""
        told = self.structure.spans.get_column("state_pending_node_assignment")
        return told.to_physical().fill_null(NEVER).to_numpy().astype(np.int64)

    @cached_property
    def _sent_to_worker(self) -> Nanos | None:
        """By row: when Ray sent a run's task to its worker (ns), NEVER where it does not say; None for nowhere."""
        told = self.structure.spans.get_column("state_submitted_to_worker")
        if told.null_count() == told.len():
            return None
        return told.to_physical().fill_null(NEVER).to_numpy().astype(np.int64)

    def slot_given(self, at: Nanos, rows: RowIds) -> Nanos:
        """Give when runs (rows) had their slots, `at` (ns) at the latest: when they were sent to their workers.

        On a busy machine a run starts long after that.
        """
        if self._sent_to_worker is None:
            return at
        sent = self._sent_to_worker[rows]
        return np.where(sent > NEVER, np.minimum(sent, at), at)

    def by_release(self, group: RowIds) -> Timed:
        """Group runs (`group` is that of every row, -1 for none) in order of when they gave their slots back."""
        structure, count = self.structure, int(group.max(initial=-1)) + 1
        if self.held_until is structure.end:
            return by_end(structure, group, count)
        rows = np.flatnonzero((group >= 0) & structure.is_run)
        held = self.held_until[rows]
        order = latest_last(held, (-structure.start[rows],), lambda some: structure.id_ranks(rows[some]))
        return group_sorted(group[rows[order]], count, rows[order], held[order])

    @cached_property
    def released_on_worker(self) -> Timed:
        """By number of the worker process: the runs there, in order of when they gave their slots back."""
        return self.by_release(self.worker)

    @cached_property
    def in_job(self) -> Timed:
        """By number of the job: its runs."""
        return by_end(self.structure, *self._numbered_jobs)

    @cached_property
    def job(self) -> RowIds:
        """The number of the job that a run belongs to, -1 where that is not known."""
        return self._numbered_jobs[0]

    @cached_property
    def _numbered_jobs(self) -> tuple[RowIds, int]:
        return number_pairs(self.structure, self.structure.spans.get_column("job_id"), self.structure.is_run)


def relate_runs(structure: Structure, clock_shift: Nanos | None = None) -> Runs:
    """Find the relations between the runs of a table, to whose times `clock_shift` (ns, by row) was added."""
    spans = structure.spans
    actor, actor_count = number_pairs(structure, spans.get_column("actor_id"), structure.is_run)
    on_actor = by_end(structure, actor, actor_count)
    ready = _by_namer(structure, *structure.ready_runs)
    dependencies = _by_namer(structure, *structure.dependency_runs)
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
        clock_shift=clock_shift,
        serial_actor=_serial(structure, on_actor, actor_count),
        on_actor=on_actor,
    )


def _recorded(structure: Structure) -> Flags:
    recorded = flags(structure.spans.get_column("records_waits"))
    submit = structure.submit
    return structure.is_run & np.where(submit >= 0, recorded[submit], recorded)


def _by_namer(structure: Structure, row: RowIds, run: RowIds) -> Timed:
    """Group runs by the row that names their task."""
    return group_in_order(row, structure.spans.height, run, structure.lateness[run], structure.end[run])


def _creations(spans: pl.DataFrame, actor: RowIds) -> Flags:
    """Tell the runs that create an actor."""
    creations = np.zeros(actor.size, dtype=np.bool_)
    on_actor = np.flatnonzero(actor >= 0)
    if on_actor.size:
        creations[on_actor] = flags(creates_actor(spans.get_column("function").gather(on_actor)))
    return creations


def _serial(structure: Structure, on_actor: Timed, actor_count: int) -> Flags:
    """Tell the actors whose runs never overlap in time."""
    concurrent = flags(structure.spans.get_column("concurrent"))
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
