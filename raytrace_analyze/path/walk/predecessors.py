"""Where runs came from, for many at once: the part of the walk's rules that says whose end let a run start."""

from dataclasses import dataclass

import numpy as np

from raytrace_analyze.path.options import SLOT_WITHIN_NS, PathOptions
from raytrace_analyze.path.walk.via import Codes, code
from raytrace_analyze.queueing.slot_waits import SlotWaits
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.asof import NEVER
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.groups import Timed, group_in_order, positions
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.vocabulary.options import Queues
from raytrace_analyze.vocabulary.paths import Via
from raytrace_analyze.waits.waiting import Waiting


# Made anew for every step, and a value takes longer to make.
@dataclass(eq=False, repr=False)
class Found:
    """Runs that explain why others started when they did: rows (-1: none), and how."""

    row: RowIds
    time: Nanos
    """When what explains it happened: the run's end, or where it was suspended."""
    via: Codes

    def put(self, chosen: RowIds, row: RowIds, via: Via, time: Nanos) -> None:
        """Take what was found for some, if anything was."""
        there = row >= 0
        self.row[chosen[there]] = row[there]
        self.time[chosen[there]] = time[there]
        self.via[chosen[there]] = code(via)

    def put_later(self, chosen: RowIds, row: RowIds, via: Via, lateness: Nanos, end: Nanos) -> None:
        """Take what was found for some where it is later than what is there."""
        present = self.row[chosen]
        later = (row >= 0) & ((present < 0) | (lateness[row] > lateness[present]))
        self.put(chosen[later], row[later], via, end[row[later]])


@dataclass(eq=False, repr=False)
class Asked:
    """Questions: whose end in (since, until] let these runs start? Parallel arrays."""

    run: RowIds
    submit: RowIds
    since: Nanos
    until: Nanos

    def __getitem__(self, chosen: RowIds) -> "Asked":
        return Asked(self.run[chosen], self.submit[chosen], self.since[chosen], self.until[chosen])

    def latest(self, runs: Latest, group: RowIds, *, within_ns: int | None = None) -> RowIds:
        """Give each group's latest run that fits, at most `within_ns` before `until`; -1 where there is none."""
        return runs.members_at(self.position(runs, group, within_ns=within_ns))

    def position(self, runs: Latest, group: RowIds, *, within_ns: int | None = None) -> RowIds:
        """Give the position of that run in `runs`."""
        since = self.since if within_ns is None else np.maximum(self.since, self.until - within_ns - 1)
        return runs.before(group, since, self.until)

    def released(self, runs: Latest, group: RowIds, end: Nanos, given: Nanos) -> RowIds:
        """Give each group's latest run to give back a slot shortly before it was `given`, if it ended after `since`."""
        run = runs.members_at(runs.before(group, np.maximum(self.since, given - SLOT_WITHIN_NS - 1), self.until))
        return np.where((run >= 0) & (end[run] > self.since), run, -1)


class Origins:
    """Finds where runs came from."""

    def __init__(self, runs: Runs, waiting: Waiting, options: PathOptions, slots: SlotWaits | None = None) -> None:
        turns = waiting.turns
        self._turns, self._freed = turns, Latest(turns.freed, runs.structure.start)
        self._placements = waiting.placements
        self._runs, self._structure = runs, runs.structure
        self._follow = options.queues is Queues.FOLLOW
        self._guess = options.infer and self._follow
        self._infer_within_ns = options.infer_within_ns
        self._slots = slots
        self._on_node = None if slots is None else Latest(slots.on_node, runs.structure.start)
        self._groups: dict[str, Latest] = {}
        self._creations, self._created_at = _creations(runs)

    def find(self, run: RowIds, submit: RowIds, since: Nanos, until: Nanos) -> Found:
        """Find the runs whose ends in (since, until] let others start."""
        found = Found(np.full(run.size, -1, dtype=np.int64), since.copy(), np.full(run.size, -1, dtype=np.int8))
        asked = Asked(run, submit, since, until)
        recorded = self._runs.recorded[run]
        named = recorded if self._guess else np.ones(run.size, dtype=np.bool_)
        if (some := positions(~named)).size:
            self._predecessors(found, some, asked[some])
        if (some := positions(named)).size:
            self._named(found, some, asked[some])
        if self._follow and (some := positions(recorded)).size:
            self._holders(found, some, Asked(run, submit, found.time.copy(), until)[some])
            self._placed(found, some, until[some], run[some])
        return found

    def _latest(self, name: str) -> Latest:
        """Give a group of `Runs`; they are made when first needed, since not all data needs all of them."""
        if name not in self._groups:
            timed: Timed = getattr(self._runs, name)
            self._groups[name] = Latest(timed, self._structure.start)
        return self._groups[name]

    def _predecessors(self, found: Found, some: RowIds, asked: Asked) -> None:
        """Where nothing was recorded: the latest run on the actor, or of the job."""
        on_actor = self._runs.actor[asked.run] >= 0
        if (calls := positions(on_actor)).size:
            run = asked[calls].latest(self._latest("on_actor"), self._runs.actor[asked.run[calls]])
            found.put(some[calls], run, Via.INFERRED, self._structure.end[run])
        if (tasks := positions(~on_actor)).size:
            job = self._runs.job[asked.run[tasks]]
            run = asked[tasks].latest(self._latest("in_job"), job, within_ns=self._infer_within_ns)
            if (open_ := positions(run < 0)).size:
                run[open_] = self._before_arguments(asked[tasks[open_]], job[open_])
            found.put(some[tasks], run, Via.INFERRED, self._structure.end[run])

    def _before_arguments(self, asked: Asked, job: RowIds) -> RowIds:
        """The latest run of the job before a task's arguments were there, as far as Ray says when that was."""
        there = self._runs.arguments_there[asked.run]
        at = np.where(there > NEVER, np.minimum(there, asked.until), asked.since)
        before = Asked(asked.run, asked.submit, asked.since, at)
        return before.latest(self._latest("in_job"), job, within_ns=self._infer_within_ns)

    def _named(self, found: Found, some: RowIds, asked: Asked) -> None:
        """The latest of a submit's dependencies, earlier attempts, and what made the actor."""
        lateness, end = self._structure.lateness, self._structure.end
        # The run itself began too late to be found among its attempts.
        for name, group, via in (
            ("dependencies", asked.submit, Via.DEPENDENCY),
            ("retries", asked.submit, Via.ATTEMPT),
            ("of_task", self._runs.task[asked.run], Via.ATTEMPT),
        ):
            runs = self._latest(name)
            if runs.members.size and (chosen := positions(runs.sizes(group))).size:
                found.put_later(some[chosen], asked[chosen].latest(runs, group[chosen]), via, lateness, end)
        actor = self._runs.actor[asked.run]
        is_creation = self._runs.is_creation[asked.run]
        if (calls := positions((actor >= 0) & ~is_creation)).size:
            run = asked[calls].latest(self._creations, actor[calls])
            found.put_later(some[calls], run, Via.CREATION, lateness, end)
        if (made := positions(is_creation)).size:
            again = made[self._created_at[actor[made]] < self._structure.start[asked.run[made]]]
            run = asked[again].latest(self._latest("on_actor"), actor[again])
            found.put_later(some[again], run, Via.CREATION, lateness, end)

    def _holders(self, found: Found, some: RowIds, asked: Asked) -> None:
        """What held the actor, or the worker, until the run could start."""
        on_actor = self._runs.actor[asked.run] >= 0
        if (calls := positions(on_actor)).size:
            lane = self._turns.lane[asked.run[calls]]
            calls, lane = calls[self._turns.is_known[lane]], lane[self._turns.is_known[lane]]
            position = asked[calls].position(self._freed, lane)
            holder = self._freed.members_at(position)
            # What Ray's libraries run for themselves, their long polls and checks, leads nowhere.
            holder = np.where((holder >= 0) & self._structure.rays_own[holder], -1, holder)
            found.put(some[calls], holder, Via.ACTOR, self._freed.times_at(position))
        if (tasks := positions(~on_actor)).size:
            worker = self._runs.worker[asked.run[tasks]]
            given = self._runs.slot_given(asked.until[tasks], asked.run[tasks])
            run = asked[tasks].released(self._latest("released_on_worker"), worker, self._structure.end, given)
            found.put(some[tasks], run, Via.SLOT, self._structure.end[run])
            self._on_nodes(found, some, asked, tasks[run < 0])
        self._on_nodes(found, some, asked, positions(self._runs.is_creation[asked.run]))

    def _on_nodes(self, found: Found, some: RowIds, asked: Asked, chosen: RowIds) -> None:
        """What held the slot of the node until the run could have it: an actor until it was over, or a task."""
        if self._slots is None or self._on_node is None or chosen.size == 0:
            return
        waits = self._slots.find(asked.run[chosen], asked.since[chosen], asked.until[chosen])
        found.put(some[chosen], waits.row, Via.SLOT, waits.made)
        is_task = (waits.row < 0) & (self._runs.actor[asked.run[chosen]] < 0)
        found.put(
            some[chosen[is_task]], waits.blocked_by[is_task], Via.SLOT, self._structure.end[waits.blocked_by[is_task]]
        )
        tasks = positions(is_task & (waits.blocked_by < 0))
        chosen = chosen[tasks]
        given = self._runs.slot_given(asked.until[chosen], asked.run[chosen])
        run = asked[chosen].released(self._on_node, waits.node[tasks], self._structure.end, given)
        found.put(some[chosen], run, Via.SLOT, self._structure.end[run])

    def _placed(self, found: Found, some: RowIds, until: Nanos, run: RowIds) -> None:
        """Who made room for the placement group that a run waited for, where nothing else came later."""
        if self._placements is None:
            return
        made = self._placements.made[run]
        later = positions((self._placements.row[run] >= 0) & (made > found.time[some]) & (made <= until))
        found.put(some[later], self._placements.row[run[later]], Via.SLOT, made[later])


def _creations(runs: Runs) -> tuple[Latest, RowIds]:
    """Give the creations by actor, and when each actor's first one began."""
    structure = runs.structure
    rows = positions(runs.is_creation)
    actor, count = runs.actor[rows], runs.on_actor.first.size - 1
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, actor, structure.start[rows])
    timed = group_in_order(actor, count, rows, structure.lateness[rows], structure.end[rows])
    return Latest(timed, structure.start), first
