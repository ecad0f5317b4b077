"""The walk: from a scope's end back to its start, along what was really waited for.

One hop a segment, whatever the number of spans: every question ("the latest that ended by t") is a binary search
in what `relations` has sorted. The rules are those of the definition of the causal critical path, in its order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import numpy as np

from raytrace_analyze.path.options import SLOT_WITHIN_NS
from raytrace_analyze.path.overlap import find_overlaps
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.groups import Timed
from raytrace_analyze.trace.relations import Runs, joins
from raytrace_analyze.vocabulary import Queues, Via


@dataclass(frozen=True)
class Step:
    """One segment: a stretch of time and the span it belongs to."""

    start: int
    end: int
    category: str
    row: int
    via: Via | None
    inferred: bool
    blocker: int
    """The run outside the scope that was waited for, -1 otherwise."""


class SlotWaits(Protocol):
    """What Ray's task events add: who waited for a slot of which node."""

    on_node: Timed

    def nodes(self, run: RowIds, since: Nanos, until: Nanos) -> RowIds:
        """Give the number of the node where each run waited for a slot in that time, -1 where it did not."""


@dataclass(frozen=True)
class _Found:
    """A run that explains why another one, or a wait, ended when it did."""

    row: int
    time: int
    via: Via

    @staticmethod
    def latest(found: Iterable["_Found"], walk: "Walk") -> "_Found | None":
        structure = walk.scoped.structure
        latest: list[_Found] = []
        for one in found:
            order = (one.time, -structure.start[one.row])
            best = (latest[0].time, -structure.start[latest[0].row]) if latest else order
            if order >= best:
                latest = [*latest, one] if order == best else [one]
        if len(latest) < 2:
            return latest[0] if latest else None
        ranks = structure.id_ranks(np.array([one.row for one in latest]))
        return latest[int(ranks.argmax())]


class Walk:
    """Walks over the spans of prepared scopes; one instance answers for all of them."""

    def __init__(
        self,
        scoped: Scoped,
        runs: Runs,
        *,
        queues: Queues = Queues.FOLLOW,
        infer: bool = True,
        infer_within_ns: int = SLOT_WITHIN_NS,
        slot_waits: SlotWaits | None = None,
        overlap_tolerance: float = 0.0,
    ) -> None:
        self.scoped = scoped
        self.runs = runs
        self.queues = queues
        self.infer = infer
        self.infer_within_ns = infer_within_ns
        self.slot_waits = slot_waits
        self.joins = joins(scoped, runs, infer=infer)
        self.overlaps = find_overlaps(scoped, self.joins, overlap_tolerance)
        structure = scoped.structure
        run_above = structure.run_above
        self.flow = np.where(structure.is_run, np.arange(structure.is_run.size), run_above)
        """The run in whose control flow each span lies, -1 for the driver's."""

    def from_root(self, scope: int) -> list[Step]:
        """Walk a whole scope; give its segments, oldest first."""
        return self._tidy(self._steps_of(scope))

    def from_root_within(self, scope: int, most: int) -> list[Step] | None:
        """Walk a whole scope like `from_root`; None where that takes more than `most` steps."""
        steps = list(islice(self._steps_of(scope), most + 1))
        return None if len(steps) > most else self._tidy(steps)

    def _steps_of(self, scope: int) -> Iterator[Step]:
        root = self.scoped.root(scope)
        return self._steps(root, int(self.scoped.end[root]), scope)

    def from_run(self, row: int, floor: int) -> list[Step]:
        """Walk from a run's end back to `floor` (ns), where the last segment is cut; oldest first."""
        scope = int(self.scoped.scope_of[row])
        kept: list[Step] = []
        for step in self._steps(row, int(self.scoped.end[row]), scope):
            if step.end <= floor:
                break
            kept.append(replace(step, start=max(step.start, floor)))
            if step.start <= floor:
                break
        return self._tidy(kept)

    @staticmethod
    def _tidy(steps: Iterable[Step]) -> list[Step]:
        return [step for step in steps if step.end > step.start][::-1]

    def _steps(self, row: int, time: int, scope: int) -> Iterator[Step]:
        """Give the segments, newest first, empty ones included."""
        scoped, structure, root = self.scoped, self.scoped.structure, self.scoped.root(scope)
        via: Via | None = None
        guessed_flow = -1
        led_to: set[tuple[int, int]] = set()
        while True:
            flow = -1 if row == root else int(self.flow[row])
            if via is Via.INFERRED or flow != guessed_flow:
                guessed_flow = flow if via is Via.INFERRED else -1
            guessed = guessed_flow >= 0
            start = int(scoped.start[row])
            is_wait = row != root and bool(self.runs.is_wait[row])
            blocker = -1
            if is_wait and (ready := self._ready(row, time, start)):
                state = (ready.row, ready.time)
                if scoped.scope_of[ready.row] != scope:
                    blocker = ready.row
                elif state not in led_to:
                    led_to.add(state)
                    yield Step(ready.time, time, "fetch", row, via, guessed, -1)
                    row, time, via = ready.row, ready.time, Via.WAIT
                    continue
            if (join := self._join(row, time, start)) is not None:
                child, ended = join
                yield Step(ended, time, "self", row, via, guessed, -1)
                via = Via.INFERRED if structure.is_run[child] else Via.JOIN
                row, time = child, ended
                continue
            category = "self"
            if row != root and structure.is_submit[row]:
                category = "submit"
            elif is_wait:
                category = "wait"
            yield Step(start, time, category, row, via, guessed, blocker)
            time = min(start, time)
            if row == root:
                return
            if structure.is_run[row]:
                if scoped.parent[row] < 0:
                    row, via = root, Via.JOIN
                    continue
                queue, row, time, via = self._origin(row, time, scope, via, guessed)
                yield queue
            else:
                row, via = int(scoped.parent[row]), Via.JOIN

    def _ready(self, wait: int, time: int, start: int) -> _Found | None:
        """Rule 1: of the runs that a wait came back with, the one that ended last before `time`."""
        structure = self.scoped.structure
        candidates = self.runs.ready.of(wait)
        ended = np.minimum(structure.end[candidates], time)
        fits = (structure.start[candidates] < time) & (ended > start)
        if not fits.any():
            return None
        candidates, ended = candidates[fits], ended[fits]
        latest = candidates[ended == ended.max()]
        return _Found.latest((_Found(int(run), int(ended.max()), Via.WAIT) for run in latest), self)

    def _join(self, row: int, time: int, start: int) -> tuple[int, int] | None:
        """Rule 2: the child that ended last by `time`, after the span had started."""
        join = self._latest_join(row, time, start)
        if self.overlaps is not None and start < time < self.scoped.end[row]:
            exact = join[0] if join and join[1] == time else None
            if (child := self.overlaps.child(row, time, exact)) is not None:
                return child, time
        return join

    def _latest_join(self, row: int, time: int, start: int) -> tuple[int, int] | None:
        for position in self.joins.until(row, time):
            ended = int(self.joins.times[position])
            if ended <= start:
                return None
            child = int(self.joins.members[position])
            if self.scoped.start[child] < time:
                return child, ended
        return None

    def _origin(self, run: int, until: int, scope: int, via: Via | None, guessed: bool) -> tuple[Step, int, int, Via]:
        """Where a run came from: its queue segment, and the state that follows."""
        submit = int(self.scoped.parent[run])
        submitted = min(int(self.scoped.end[submit]), until)
        found = self._predecessor(run, submit, submitted, until)
        if self.queues is Queues.FOLLOW and self.runs.recorded[run]:
            since = found.time if found else submitted
            found = self._holder(run, since, until) or found
        if found is None or self.scoped.scope_of[found.row] != scope:
            blocker = found.row if found else -1
            return Step(submitted, until, "queue", run, via, guessed, blocker), submit, submitted, Via.SUBMIT
        guessed = guessed or found.via is Via.INFERRED
        return Step(found.time, until, "queue", run, via, guessed, -1), found.row, found.time, found.via

    def _predecessor(self, run: int, submit: int, since: int, until: int) -> _Found | None:
        """Of the runs whose end let this one start by the rules, the latest in (since, until]."""
        runs = self.runs
        on_actor = runs.actor[run] >= 0
        if self.infer and self.queues is Queues.FOLLOW and not runs.recorded[run]:
            if on_actor:
                return self._latest(runs.on_actor, int(runs.actor[run]), since, until, Via.INFERRED)
            since = max(since, until - self.infer_within_ns - 1)
            return self._latest(runs.in_job, int(runs.job[run]), since, until, Via.INFERRED)
        structure = self.scoped.structure
        named = [(row, Via.DEPENDENCY) for row in runs.dependencies.of(submit).tolist()]
        attempts = {*runs.retries.of(submit).tolist(), *runs.of_task.of(int(runs.task[run])).tolist()} - {run}
        named += [(row, Via.ATTEMPT) for row in attempts]
        found = [
            _Found(row, int(structure.end[row]), via)
            for row, via in named
            if structure.start[row] < until and since < structure.end[row] <= until
        ]
        if on_actor and (creation := self._creation(run, since, until)):
            found.append(creation)
        return _Found.latest(found, self)

    def _creation(self, run: int, since: int, until: int) -> _Found | None:
        """The creation run that a method waited for; for a creation that is a restart, what the actor did last."""
        actor = int(self.runs.actor[run])
        if not self.runs.is_creation[run]:
            return self._latest(self.runs.on_actor, actor, since, until, Via.CREATION, creations_only=True)
        start = self.scoped.structure.start
        mates = self.runs.on_actor.of(actor)
        is_restart = bool((self.runs.is_creation[mates] & (start[mates] < start[run])).any())
        return self._latest(self.runs.on_actor, actor, since, until, Via.CREATION) if is_restart else None

    def _holder(self, run: int, since: int, until: int) -> _Found | None:
        """The run that held the actor, or the worker, until this one could start."""
        runs, actor = self.runs, int(self.runs.actor[run])
        if actor >= 0:
            if not runs.serial_actor[actor]:
                return None
            return self._latest(runs.on_actor, actor, since, until, Via.ACTOR)
        recent = max(since, until - SLOT_WITHIN_NS - 1)
        found = self._latest(runs.on_worker, int(runs.worker[run]), recent, until, Via.SLOT)
        if found is None and self.slot_waits is not None:
            node = self.slot_waits.nodes(*(np.array([value], dtype=np.int64) for value in (run, since, until)))
            found = self._latest(self.slot_waits.on_node, int(node[0]), recent, until, Via.SLOT)
        return found

    def _latest(
        self, runs: Timed, group: int, since: int, until: int, via: Via, *, creations_only: bool = False
    ) -> _Found | None:
        """The run of a group that ended last in (since, until], having started before `until`."""
        structure = self.scoped.structure
        for position in runs.until(group, until):
            ended = int(runs.times[position])
            if ended <= since:
                return None
            row = int(runs.members[position])
            if structure.start[row] < until and (not creations_only or self.runs.is_creation[row]):
                return _Found(row, ended, via)
        return None
