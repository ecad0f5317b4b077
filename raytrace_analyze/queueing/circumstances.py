"""What is known of each run that can tell why it waited: its states, slot and process, and what ran there before."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from raytrace_analyze.names.attributes import PUT_ARGUMENTS
from raytrace_analyze.queueing.beyond import Beyond, Told, firsts_of, nodes_of, processes_of
from raytrace_analyze.queueing.demands import read_demands
from raytrace_analyze.queueing.occupancy import NodeSlots, letting_go, node_slots, occupancy
from raytrace_analyze.queueing.room_told import room_enough, room_told
from raytrace_analyze.queueing.task_states import first_known, read_states
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import NEVER, latest_other, members_at, times_at
from raytrace_analyze.trace.groups import Timed
from raytrace_analyze.trace.numbering import by_end, number_pairs
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.waits.actor_ends import with_their_jobs
from raytrace_analyze.waits.waiting import Waiting

LONG_TO_LOAD_NS = 100_000_000
"""What a process does longer than this after its first run has ended is no storing of a result alone."""
LONG_TO_STORE_NS = 500_000_000
"""How long it takes at least to store a result that there was no room for."""


class Circumstances:
    """Runs of a table, and what stood around each before it started; runs are rows of the table."""

    def __init__(self, structure: Structure, runs: Runs, waiting: Waiting, beyond: Beyond | None = None) -> None:
        self.beyond = beyond
        """Of a part of a table: what it is to know of the rest."""
        self.structure = structure
        self.runs = runs
        self.turns = waiting.turns
        self.placements = waiting.placements
        """Until when runs waited for their placement groups, and who made room; None where none is in one."""
        self.actor_ends = waiting.actor_ends
        self.states = read_states(structure)
        self.held_from = self._held_from()
        self.node = _nodes(structure, runs)
        """The number of the node that a task's run, or an actor's creation, was on; -1 for other spans."""

    @cached_property
    def is_another(self) -> Flags:
        """By row: attempts at a task that are not the first."""
        return flags(self.structure.spans.get_column("attempt") > 0)

    @cached_property
    def first_on_worker(self) -> RowIds:
        """By number of the worker process: the run that it began with, -1 where there is none."""
        first = self._first_here
        if self.beyond is None:
            return first
        of_all = self.known_of_all.first
        is_first = [here == of_all[one] for one, here in zip(self._processes, self._firsts, strict=True)]
        return np.where(np.array(is_first, dtype=np.bool_), first, -1)

    @cached_property
    def _first_here(self) -> RowIds:
        return _first(self.runs.on_worker, self.runs.worker, self.held_from)

    @cached_property
    def told(self) -> Told:
        """What this part of a table tells of its nodes and worker processes."""
        return replace(self._seen, enough=room_enough(self._own_slots, *self._taken_at_starts, self._nodes))

    @cached_property
    def _seen(self) -> Told:
        """What this part tells, but for how much room is enough, which hangs on what others tell."""
        lets_go = dict(zip(self._nodes, self._lets_go.tolist(), strict=True))
        first = dict(zip(self._processes, self._firsts, strict=True))
        return Told(room_told(self._own_slots, self._nodes), {}, lets_go, first)

    @cached_property
    def known_of_all(self) -> Told:
        """What this part and, of others, is known."""
        return self._seen if self.beyond is None else self._seen | self.beyond.told

    @cached_property
    def _processes(self) -> list[tuple[str, str]]:
        return processes_of(self.structure, self._first_here)

    @cached_property
    def _firsts(self) -> list[tuple[int, int, str, str]]:
        return firsts_of(self.structure, self._first_here, self.held_from)

    @cached_property
    def _nodes(self) -> list[tuple[str, str]]:
        rows = np.flatnonzero(self.node >= 0)
        examples = np.zeros(int(self.node.max(initial=-1)) + 1, dtype=np.int64)
        examples[self.node[rows]] = rows
        return nodes_of(self.structure, examples)

    @cached_property
    def begins(self) -> Flags:
        """By row: runs that their worker processes began with."""
        begins = np.zeros(self.structure.start.size, dtype=np.bool_)
        begins[self.first_on_worker[self.first_on_worker >= 0]] = True
        return begins

    @cached_property
    def long_to_store(self) -> Flags:
        """By row: runs that kept their slots for long after their ends, until there was room for their results.

        With its first result a process loads what it stores them with. That is no lack of room, unless others, too,
        waited for that.
        """
        is_long: Flags = self.runs.held_until - self.structure.end >= LONG_TO_STORE_NS
        return is_long if (is_long & ~self.begins).any() else np.zeros_like(is_long)

    @cached_property
    def loads_to_store(self) -> Flags:
        """By row: the first of their processes with a result, after whose ends these loaded what they store that with.

        On an actor that is its first call. None where others took long to store theirs, too: there may have been no
        room.
        """
        took = self.runs.stored_until - self.structure.end
        is_first = self.begins | self._is_first_call
        if ((took >= LONG_TO_STORE_NS) & ~is_first).any():
            return np.zeros_like(is_first)
        loads: Flags = is_first & (took >= LONG_TO_LOAD_NS)
        return loads

    @cached_property
    def _is_first_call(self) -> Flags:
        """By row: the first calls of actors' methods, in each process that the actor had."""
        runs = self.runs
        worker = np.where((runs.actor >= 0) & ~runs.is_creation, runs.worker, -1)
        calls = np.flatnonzero(worker >= 0)
        order = calls[np.lexsort((self.structure.start[calls], worker[calls]))]
        first = np.zeros(worker.size, dtype=np.bool_)
        first[order[np.diff(worker[order], prepend=-1) != 0]] = True
        return first

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
        slots = self._own_slots
        if self.beyond is None:
            return slots
        capacity, count = slots.nodes.capacity.copy(), max(len(slots.demands.resources), 1)
        of_all = self.known_of_all.capacity
        for place in range(capacity.size):
            name = (*self._nodes[place // count], slots.demands.resources[place % count])
            capacity[place] = of_all.get(name, capacity[place])
        return slots.with_capacity(capacity)

    @cached_property
    def _own_slots(self) -> NodeSlots:
        flow = self.structure.run_above
        demands = read_demands(self.structure, self.runs, self.node)
        never = np.full(self.runs.on_actor.first.size - 1, NEVER)
        over = never if self.actor_ends is None else self.actor_ends.time
        over = np.where(over > NEVER, over, with_their_jobs(self.runs))
        within = None if self.beyond is None else (self.beyond.complete_since, self.beyond.complete_until)
        return node_slots(self.structure, self.runs, demands, self.held_from, flow, over, within)

    @property
    def starting_from(self) -> Nanos:
        """Of runs that their processes began with: since when they had their slots while these started; else NEVER.

        NEVER, too, where that is not certain: where more processes would have been starting than there were slots.
        """
        return self._starts[0]

    @property
    def _taken_at_starts(self) -> tuple[RowIds, RowIds]:
        """How much of each place was taken as processes began to start, those that started then among it."""
        return self._starts[1:]

    @cached_property
    def _starts(self) -> tuple[Nanos, RowIds, RowIds]:
        slots = self.slots
        places = slots.nodes.capacity.size
        found = np.full(self.structure.start.size, NEVER)
        if places == 0:
            return found, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        rows = self.first_on_worker[self.first_on_worker >= 0]
        submit = self.structure.submit[rows]
        submitted = np.where(submit >= 0, self.structure.end[submit], self.structure.start[rows])
        held = self.held_from[rows]
        freed, _ = slots.waited(rows, held)
        begun = np.maximum(first_known(self.states.node_assignment[rows], submitted), freed)
        if self.beyond is not None:
            self.beyond.check_seen(begun, held)
        demand, of_row = slots.demands.of(rows)
        place, amount = slots.demands.place[demand], slots.demands.amount[demand]
        begun_each, held_each = begun[of_row], np.maximum(held[of_row], begun[of_row])
        starting = occupancy(
            place, places, begun_each, held_each, amount, rows[of_row], np.zeros(of_row.size, dtype=np.bool_)
        )
        taken = slots.nodes.used_at(place, begun_each) + starting.used_at(place, begun_each)
        too_many = (place < 0) | (taken > slots.nodes.capacity[np.maximum(place, 0)])
        is_certain = np.bincount(of_row, minlength=rows.size) > 0
        is_certain[of_row[too_many]] = False
        found[rows[is_certain]] = begun[is_certain]
        return found, place, taken

    @cached_property
    def is_counted(self) -> Flags:
        """Of runs: their nodes' slots can be counted.

        Where a run lets its slot go while it waits, more are taken at once than there are, as it goes on.
        """
        lets_go = self._lets_go
        if self.beyond is not None:
            lets_go = np.array([self.known_of_all.lets_go[node] for node in self._nodes], dtype=np.bool_)
        return np.append(~lets_go, False)[self.node]

    @cached_property
    def _lets_go(self) -> Flags:
        """By number of the node: whether runs let their slots go there while they wait."""
        flow = self.structure.run_above
        lets_go = np.zeros(int(self.node.max(initial=-1)) + 2, dtype=np.bool_)
        lets_go[self.node[flow[letting_go(self.structure, self.runs, flow)]]] = True
        return lets_go[:-1]

    def earlier(self, run: RowIds, until: Nanos) -> tuple[RowIds, RowIds]:
        """Give the attempt before each run, or for an actor's restart what ran on it last: its end and its row."""
        found = latest_other(self.runs.attempts, self.runs.same_task[run], until, run)
        time, holder = times_at(self.runs.attempts, found), members_at(self.runs.attempts, found)
        made = latest_other(self.creations, np.where(self.runs.is_creation[run], self.runs.actor[run], -1), until, run)
        last = latest_other(self.runs.on_actor, np.where(made >= 0, self.runs.actor[run], -1), until, run)
        died = times_at(self.runs.on_actor, last)
        return np.maximum(time, died), np.where(died > time, members_at(self.runs.on_actor, last), holder)

    def _held_from(self) -> RowIds:
        """Since when each run has had its slot: since it was sent to its worker, not before that had ended another."""
        start = self.structure.start
        if self.states.known.any():
            held = np.minimum(first_known(self.states.submitted, self.states.running, start), start)
        else:
            held = start.copy()
        on_worker = self.runs.on_worker
        same = np.diff(np.repeat(np.arange(on_worker.first.size - 1), np.diff(on_worker.first))) == 0
        run, before = on_worker.members[1:][same], on_worker.times[:-1][same]
        held[run] = np.maximum(held[run], np.minimum(before, start[run]))
        return held

    @cached_property
    def takes_results(self) -> Flags:
        """Of runs: results of other tasks, or objects that somebody put, are among their arguments."""
        about = self.structure.spans.select("dependency_task_ids", "attributes")
        has_put = about.get_column("attributes").str.contains(PUT_ARGUMENTS, literal=True)
        submit = self.structure.submit
        return (submit >= 0) & flags((about.get_column("dependency_task_ids").list.len() > 0) | has_put)[submit]

    def done(self, run: RowIds) -> RowIds:
        """When whoever submitted a run (-1: none) knew that it was over, NEVER where that is not told."""
        return np.where(run >= 0, self.states.done[run], NEVER)

    def begins_process(self, run: RowIds) -> Flags:
        """Tell the runs that their worker processes began with."""
        first: Flags = self.first_beside(run) == run
        return first

    def first_beside(self, run: RowIds) -> RowIds:
        """Give the run that each run's worker process began with, -1 where the process is not known."""
        first, known = np.full(run.size, -1, dtype=np.int64), self.runs.worker[run] >= 0
        first[known] = self.first_on_worker[self.runs.worker[run[known]]]
        return first


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
