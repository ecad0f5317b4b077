"""Where runs came from, for many at once: the part of the walk's rules that says whose end let a run start."""

from dataclasses import dataclass

import numpy as np

from raytrace_analyze.path.options import SLOT_WITHIN_NS, PathOptions
from raytrace_analyze.path.via import Codes, code
from raytrace_analyze.queueing.split import SlotWaits
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.groups import Timed, group_in_order, positions
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.vocabulary import Queues, Via


@dataclass(frozen=True)
class Found:
    """Runs that explain why others started when they did: rows (-1: none), and how."""

    row: RowIds
    via: Codes

    def put(self, chosen: RowIds, row: RowIds, via: Via) -> None:
        """Take what was found for some, if anything was."""
        there = row >= 0
        self.row[chosen[there]] = row[there]
        self.via[chosen[there]] = code(via)

    def put_later(self, chosen: RowIds, row: RowIds, via: Via, lateness: Nanos) -> None:
        """Take what was found for some where it is later than what is there."""
        present = self.row[chosen]
        later = (row >= 0) & ((present < 0) | (lateness[row] > lateness[present]))
        self.put(chosen[later], row[later], via)


@dataclass(frozen=True)
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
        since = self.since if within_ns is None else np.maximum(self.since, self.until - within_ns - 1)
        return runs.members_at(runs.before(group, since, self.until))


class Origins:
    """Finds where runs came from."""

    def __init__(self, runs: Runs, options: PathOptions, slots: SlotWaits | None = None) -> None:
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
        found = Found(np.full(run.size, -1, dtype=np.int64), np.full(run.size, -1, dtype=np.int8))
        asked = Asked(run, submit, since, until)
        recorded = self._runs.recorded[run]
        named = recorded if self._guess else np.ones(run.size, dtype=np.bool_)
        if (some := positions(~named)).size:
            self._predecessors(found, some, asked[some])
        if (some := positions(named)).size:
            self._named(found, some, asked[some])
        if self._follow and (some := positions(recorded)).size:
            after = np.where(found.row >= 0, self._structure.end[found.row], since)
            self._holders(found, some, Asked(run, submit, after, until)[some])
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
            found.put(some[calls], run, Via.INFERRED)
        if (tasks := positions(~on_actor)).size:
            job = self._runs.job[asked.run[tasks]]
            run = asked[tasks].latest(self._latest("in_job"), job, within_ns=self._infer_within_ns)
            found.put(some[tasks], run, Via.INFERRED)

    def _named(self, found: Found, some: RowIds, asked: Asked) -> None:
        """The latest of a submit's dependencies, earlier attempts, and what made the actor."""
        lateness = self._structure.lateness
        # The run itself began too late to be found among its attempts.
        for name, group, via in (
            ("dependencies", asked.submit, Via.DEPENDENCY),
            ("retries", asked.submit, Via.ATTEMPT),
            ("of_task", self._runs.task[asked.run], Via.ATTEMPT),
        ):
            runs = self._latest(name)
            if runs.members.size and (chosen := positions(runs.sizes(group))).size:
                found.put_later(some[chosen], asked[chosen].latest(runs, group[chosen]), via, lateness)
        actor = self._runs.actor[asked.run]
        is_creation = self._runs.is_creation[asked.run]
        if (calls := positions((actor >= 0) & ~is_creation)).size:
            run = asked[calls].latest(self._creations, actor[calls])
            found.put_later(some[calls], run, Via.CREATION, lateness)
        if (made := positions(is_creation)).size:
            again = made[self._created_at[actor[made]] < self._structure.start[asked.run[made]]]
            run = asked[again].latest(self._latest("on_actor"), actor[again])
            found.put_later(some[again], run, Via.CREATION, lateness)

    def _holders(self, found: Found, some: RowIds, asked: Asked) -> None:
        """What held the actor, or the worker, until the run could start."""
        actor = self._runs.actor[asked.run]
        on_actor = actor >= 0
        if (calls := positions(on_actor)).size:
            calls = calls[self._runs.serial_actor[actor[calls]]]
            found.put(some[calls], asked[calls].latest(self._latest("on_actor"), actor[calls]), Via.ACTOR)
        if (tasks := positions(~on_actor)).size:
            worker = self._runs.worker[asked.run[tasks]]
            run = asked[tasks].latest(self._latest("on_worker"), worker, within_ns=SLOT_WITHIN_NS)
            found.put(some[tasks], run, Via.SLOT)
            if self._slots is not None and self._on_node is not None:
                tasks = tasks[run < 0]
                node = self._slots.nodes(asked.run[tasks], asked.since[tasks], asked.until[tasks])
                found.put(some[tasks], asked[tasks].latest(self._on_node, node, within_ns=SLOT_WITHIN_NS), Via.SLOT)


def _creations(runs: Runs) -> tuple[Latest, RowIds]:
    """Give the creations by actor, and when each actor's first one began."""
    structure = runs.structure
    rows = positions(runs.is_creation)
    actor, count = runs.actor[rows], runs.on_actor.first.size - 1
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, actor, structure.start[rows])
    timed = group_in_order(actor, count, rows, structure.lateness[rows], structure.end[rows])
    return Latest(timed, structure.start), first
