"""What a run waited for before it started, piece by piece: the rules, for many runs at once.

Each rule says "until then it was that"; in their order, and clipped to one another, they tile the wait. Ray's task
events decide where a run has them, else the spans do.
"""

from functools import cached_property

import numpy as np

from raytrace_analyze.queueing.causes import CAUSES, CauseBound, Codes, QueueIntervals
from raytrace_analyze.queueing.demands import read_demands
from raytrace_analyze.queueing.occupancy import NodeSlots, letting_go, node_slots
from raytrace_analyze.queueing.task_states import read_states
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import NEVER, latest_other, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import Timed
from raytrace_analyze.trace.numbering import by_end, number_pairs
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.trace.turns import Turns, find_turns
from raytrace_analyze.vocabulary import Cause

_IN_GROUP = r"_group_(?:\d+_)?([0-9a-f]{12,})"
"""How Ray names the resources of a placement group."""
UNKNOWN_FROM_NS = 50_000_000
"""Ray's own way takes milliseconds: what takes longer is something else."""
TRANSFER_FROM_NS = 10_000_000
"""From how long on an unexplained wait of a task with arguments from another node is taken for their transfer."""


class CauseRules:
    """Knows what every run of a table could have waited for."""

    def __init__(self, structure: Structure, runs: Runs, turns: Turns | None = None) -> None:
        self.structure = structure
        self.runs = runs
        self.turns = turns or find_turns(runs)
        self.states = read_states(structure)
        self.held_from = self._held_from()
        self.node = _nodes(structure, runs)
        """The number of the node that a task's run, or an actor's creation, was on; -1 for other spans."""

    @cached_property
    def first_on_worker(self) -> RowIds:
        """By number of the worker process: the run that it began with, -1 where there is none."""
        return _first(self.runs.on_worker, self.runs.worker, self.held_from)

    @cached_property
    def creations(self) -> Timed:
        """By number of the actor: its creations."""
        return _by_end(self.structure, np.where(self.runs.is_creation, self.runs.actor, -1))

    @cached_property
    def on_node(self) -> Timed:
        """By number of the node: the runs of tasks there."""
        return self.runs.by_release(np.where(self.runs.actor < 0, self.node, -1))

    @cached_property
    def slots(self) -> NodeSlots:
        """The nodes' slots, each held from when the run was sent to its worker."""
        flow = self.structure.run_above
        demands = read_demands(self.structure, self.runs, self.node, self.states.resources)
        return node_slots(self.structure, self.runs, demands, self.held_from, flow)

    @cached_property
    def _is_counted(self) -> Flags:
        """Of runs: their nodes' slots can be counted.

        Where a run lets its slot go while it waits, more are taken at once than there are, as it goes on.
        """
        flow = self.structure.run_above
        waits = letting_go(self.structure, self.runs, flow)
        counted = np.ones(self.node.max(initial=-1) + 2, dtype=np.bool_)
        counted[self.node[flow[waits]]] = False
        counted[-1] = False
        return counted[self.node]

    def earlier(self, run: RowIds, until: Nanos) -> tuple[RowIds, RowIds]:
        """Give the attempt before each run, or for an actor's restart what ran on it last: its end and its row."""
        found = latest_other(self.runs.attempts, self.runs.same_task[run], until, run)
        time, holder = times_at(self.runs.attempts, found), members_at(self.runs.attempts, found)
        made = latest_other(self.creations, np.where(self.runs.is_creation[run], self.runs.actor[run], -1), until, run)
        last = latest_other(self.runs.on_actor, np.where(made >= 0, self.runs.actor[run], -1), until, run)
        died = times_at(self.runs.on_actor, last)
        return np.maximum(time, died), np.where(died > time, members_at(self.runs.on_actor, last), holder)

    def whole_waits(self, runs: RowIds) -> QueueIntervals:
        """Give the waits of submitted runs from their submit, or the attempt before, to their start."""
        until = self.structure.start[runs]
        earlier, _ = self.earlier(runs, until)
        since = np.maximum(np.minimum(self.structure.end[self.structure.submit[runs]], until), earlier)
        return QueueIntervals(runs, since, until)

    def of_tasks(self, waits: QueueIntervals) -> list[CauseBound]:
        """Rules for tasks and actors' creations without task events."""
        dependency = self._dependency(waits)
        ready = np.maximum(waits.since, dependency.time)
        slot, last = self._slot(waits.run, ready, waits.until)
        rest = self._rest(waits, np.maximum(ready, slot.time), dependency.holder)
        is_open = last.cause == CAUSES.index(Cause.DISPATCH)
        cause, holder = np.where(is_open, rest.cause, last.cause), np.where(is_open, rest.holder, -1)
        return [dependency, slot, CauseBound(cause, waits.until, holder)]

    def of_methods(self, waits: QueueIntervals) -> list[CauseBound]:
        """Rules for actors' methods without task events."""
        dependency = self._dependency(waits)
        creation = self._creation(waits)
        before = self._busy(waits.run, np.where(creation.holder >= 0, self.structure.start[creation.holder], NEVER))
        busy = self._busy(waits.run, waits.until)
        since = np.maximum.reduce([waits.since, dependency.time, creation.time, busy.time])
        return [dependency, before, creation, busy, self._rest(waits, since, dependency.holder)]

    def of_tasks_with_events(self, waits: QueueIntervals) -> list[CauseBound]:
        """Rules for tasks and actors' creations whose states are known."""
        states, run = self.states, waits.run
        ready, running = self._ready(waits), states.running[run]
        granted = _first_known(states.submitted[run], running, waits.until)
        since = np.maximum(waits.since, ready.time)
        loading = self._loading(waits, np.maximum(granted, running))
        slot, last = self._slot(run, since, granted)
        return [ready, self._placed(run, granted), slot, *self._lease(run, last), *loading]

    def of_methods_with_events(self, waits: QueueIntervals) -> list[CauseBound]:
        """Rules for actors' methods whose states are known."""
        states, run = self.states, waits.run
        ready, creation = self._ready(waits), self._creation(waits)
        alive = _first_known(states.submitted[run], waits.since)
        announced = np.maximum(creation.time, self._done(creation.holder))
        was_alive = (creation.holder >= 0) & (announced <= np.maximum(ready.time, waits.since))
        start = _code(Cause.ACTOR_START, run)
        start[was_alive] = CAUSES.index(Cause.DISPATCH)
        turn = _first_known(states.running[run], waits.until)
        nobody = _nobody(waits)
        return [
            ready,
            CauseBound(start, alive, np.where(was_alive, -1, creation.holder)),
            CauseBound(_code(Cause.DISPATCH, run), states.args_fetch[run], nobody),
            CauseBound(
                _code(Cause.TRANSFER, run),
                np.where(states.args_fetch[run] > NEVER, states.ordering[run], NEVER),
                nobody,
            ),
            # On an event loop Ray says RUNNING long before a call gets its turn.
            self._busy(run, waits.until),
            *self._loading(waits, turn),
        ]

    def _held_from(self) -> RowIds:
        """Since when each run has had its slot: since it was sent to its worker, not before that had ended another."""
        start = self.structure.start
        if self.states.known.any():
            held = np.minimum(_first_known(self.states.submitted, self.states.running, start), start)
        else:
            held = start.copy()
        on_worker = self.runs.on_worker
        same = np.diff(np.repeat(np.arange(on_worker.first.size - 1), np.diff(on_worker.first))) == 0
        run, before = on_worker.members[1:][same], on_worker.times[:-1][same]
        held[run] = np.maximum(held[run], np.minimum(before, start[run]))
        return held

    def _rest(self, waits: QueueIntervals, since: Nanos, dependency: RowIds) -> CauseBound:
        """What is left without another sign: another attempt's delay, arguments from another node, the way there."""
        _, attempt = self.earlier(waits.run, waits.until)
        node = self.structure.spans.get_column("node_id")
        code = _code(Cause.DISPATCH, waits.run)
        slow = np.flatnonzero((dependency >= 0) & (waits.until - since >= TRANSFER_FROM_NS))
        if slow.size:
            elsewhere = flags(node.gather(dependency[slow]) != node.gather(waits.run[slow]))
            code[slow[elsewhere]] = CAUSES.index(Cause.TRANSFER)
        code[attempt >= 0] = CAUSES.index(Cause.RETRY)
        return CauseBound(code, waits.until, attempt)

    def _dependency(self, waits: QueueIntervals) -> CauseBound:
        """The result that came last."""
        found = latest_until(self.runs.dependencies, self.structure.submit[waits.run], waits.until)
        return CauseBound(
            _code(Cause.DEPENDENCY, waits.run),
            times_at(self.runs.dependencies, found),
            members_at(self.runs.dependencies, found),
        )

    def _ready(self, waits: QueueIntervals) -> CauseBound:
        """The arguments, or the delay before another attempt, by the task events."""
        dependency = self._dependency(waits)
        _, attempt = self.earlier(waits.run, waits.until)
        is_retry = attempt >= 0
        code = np.where(is_retry, CAUSES.index(Cause.RETRY), CAUSES.index(Cause.DEPENDENCY)).astype(np.int8)
        time = _first_known(self.states.node_assignment[waits.run], dependency.time)
        return CauseBound(code, time, np.where(is_retry, attempt, dependency.holder))

    def _creation(self, waits: QueueIntervals) -> CauseBound:
        """The creation of the actor."""
        found = latest_other(self.creations, self.runs.actor[waits.run], waits.until, waits.run)
        return CauseBound(
            _code(Cause.ACTOR_START, waits.run), times_at(self.creations, found), members_at(self.creations, found)
        )

    def _busy(self, run: RowIds, until: Nanos) -> CauseBound:
        """The calls of its group that held the turns: as many as may run at once, or the one on the event loop."""
        freed = self.turns.freed
        found = latest_until(freed, self.turns.lane[run], until)
        return CauseBound(_code(Cause.ACTOR_BUSY, run), times_at(freed, found), members_at(freed, found))

    def _slot(self, run: RowIds, since: Nanos, until: Nanos) -> list[CauseBound]:
        """A slot of the node, then the worker process if it was still to come.

        What a process began with had it to start; all that ran there later stood behind that for a slot.
        """
        runs = self.runs
        before = latest_other(runs.on_worker, runs.worker[run], until, run)
        time, holder = times_at(runs.on_worker, before), members_at(runs.on_worker, before)
        freed, owner = self.slots.waited(run, until)
        # While the node had room nobody waited for a slot, whoever used the same process in the meantime.
        has_room = self._is_counted[run] & (freed <= since)
        holder = np.where(freed > time, owner, holder)
        # The slot is given on when the one who submitted the task that had it knows that it is over.
        time = np.maximum(np.maximum(time, freed), np.minimum(self._done(holder), until))
        waited = (time > since) & ~has_room
        last = _code(Cause.DISPATCH, run)
        is_late = until - np.where(waited, time, since) > UNKNOWN_FROM_NS
        last[is_late & self._takes_results[run] & self.states.known[run]] = CAUSES.index(Cause.RESTORE)
        last[self.begins_process(run)] = CAUSES.index(Cause.WORKER_START)
        return [
            CauseBound(_code(Cause.NO_SLOT, run), np.where(waited, time, NEVER), np.where(waited, holder, -1)),
            CauseBound(last, until, np.full(run.size, -1, dtype=np.int64)),
        ]

    def _lease(self, run: RowIds, last: CauseBound) -> list[CauseBound]:
        """Where Ray says it, room in the object store and the arguments, before a worker was given."""
        full, fetching = self.states.store_memory[run], self.states.lease_args[run]
        first = np.where(full > NEVER, full, fetching)
        stored = np.where(fetching > full, fetching, last.time)
        return [
            CauseBound(last.cause, first, last.holder),
            CauseBound(_code(Cause.STORE_FULL, run), np.where(full > NEVER, stored, NEVER), last.holder),
            CauseBound(_code(Cause.RESTORE, run), np.where(fetching > NEVER, last.time, NEVER), last.holder),
            last,
        ]

    def _placed(self, run: RowIds, until: Nanos) -> CauseBound:
        """The placement group of the first run in it, and the last run on its node that can have made room for it."""
        first = self._first_in_group[run]
        found = latest_until(self.on_node, np.where(first, self.node[run], -1), until)
        holder = members_at(self.on_node, found)
        return CauseBound(_code(Cause.PLACEMENT, run), np.where(first, until, NEVER), np.where(first, holder, -1))

    @cached_property
    def _first_in_group(self) -> Flags:
        """Of runs: the first that ran in its placement group."""
        resources = self.states.resources
        first = np.zeros(len(resources), dtype=np.bool_)
        group = resources.str.extract(_IN_GROUP) if resources.null_count() < len(resources) else resources
        number, _ = number_pairs(self.structure, group, self.structure.is_run)
        rows = np.flatnonzero(number >= 0)
        order = rows[np.lexsort((self.structure.start[rows], number[rows]))]
        first[order[np.diff(number[order], prepend=-1) != 0]] = True
        return first

    @cached_property
    def _takes_results(self) -> Flags:
        """Of runs: results of other tasks are among their arguments."""
        lists = self.structure.spans.get_column("dependency_task_ids")
        submit = self.structure.submit
        return (submit >= 0) & flags(lists.list.len() > 0)[submit]

    def _done(self, run: RowIds) -> RowIds:
        """When whoever submitted a run (-1: none) knew that it was over, NEVER where that is not told."""
        return np.where(run >= 0, self.states.done[run], NEVER)

    def begins_process(self, run: RowIds) -> Flags:
        """Tell the runs that their worker processes began with."""
        first: Flags = self._first_beside(run) == run
        return first

    def _first_beside(self, run: RowIds) -> RowIds:
        """The run that each run's worker process began with, -1 where the process is not known."""
        first, known = np.full(run.size, -1, dtype=np.int64), self.runs.worker[run] >= 0
        first[known] = self.first_on_worker[self.runs.worker[run[known]]]
        return first

    def _loading(self, waits: QueueIntervals, running: Nanos) -> list[CauseBound]:
        """From the worker to the function's body: the way there, code and arguments, the span's own start."""
        states, runs, run = self.states, self.runs, waits.run
        is_first, on_actor = self.begins_process(run), runs.actor[run] >= 0
        # Several calls of an async actor share one profile: theirs says nothing of this one.
        shares = np.zeros(run.size, dtype=np.bool_)
        shares[on_actor] = ~runs.serial_actor[runs.actor[run[on_actor]]]
        fetch = np.where(is_first, CAUSES.index(Cause.FUNCTION_LOAD), CAUSES.index(Cause.TRANSFER)).astype(np.int8)
        load, nobody = _code(Cause.FUNCTION_LOAD, run), _nobody(waits)
        return [
            CauseBound(_code(Cause.DISPATCH, run), running, nobody),
            CauseBound(load, np.where(shares, NEVER, states.arguments[run]), nobody),
            CauseBound(fetch, np.where(shares, NEVER, states.arguments_end[run]), nobody),
            CauseBound(load, np.where(shares, NEVER, states.execute[run]), nobody),
            CauseBound(_code(Cause.DISPATCH, run), waits.until, nobody),
        ]


def _code(cause: Cause, run: RowIds) -> Codes:
    return np.full(run.size, CAUSES.index(cause), dtype=np.int8)


def _nobody(waits: QueueIntervals) -> RowIds:
    return np.full(waits.run.size, -1, dtype=np.int64)


def _first_known(*times: Nanos) -> RowIds:
    known = times[0]
    for other in times[1:]:
        known = np.where(known > NEVER, known, other)
    return known


def _first(on_worker: Timed, worker: RowIds, held_from: Nanos) -> RowIds:
    """Give for each worker the run that it began with."""
    members, workers = on_worker.members, on_worker.first.size - 1
    since, of = held_from[members], worker[members]
    earliest = np.full(workers, np.iinfo(np.int64).max)
    np.minimum.at(earliest, of, since)
    first = np.full(workers, -1, dtype=np.int64)
    is_first = np.flatnonzero(since == earliest[of])[::-1]
    # Of equal ones the first in order is written last.
    first[of[is_first]] = members[is_first]
    return first


def _by_end(structure: Structure, group: RowIds) -> Timed:
    """Group runs in order of their ends; `group` (-1: none) is parallel to the table."""
    return by_end(structure, group, int(group.max(initial=-1)) + 1)


def _nodes(structure: Structure, runs: Runs) -> RowIds:
    """Number the nodes; runs that hold slots there have one, methods and other spans -1."""
    holds = structure.is_run & ((runs.actor < 0) | runs.is_creation)
    return number_pairs(structure, structure.spans.get_column("node_id"), holds)[0]
