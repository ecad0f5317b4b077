"""Which runs waited for a slot of their node, and whose it was: an actor's until it was over, or a task's."""

import numpy as np

from raytrace_analyze.queueing.causes import CAUSES, QueueIntervals
from raytrace_analyze.queueing.rules import CauseRules
from raytrace_analyze.queueing.split import split_waits
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.asof import NEVER
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.queues import Cause


@frozen
class SlotWait:
    """What runs waited for: parallel arrays."""

    node: RowIds
    """The number of the node where each run waited for a slot, -1 where it did not."""
    row: RowIds
    """Where an actor had that slot: the span in whose flow it was ended, -1 otherwise."""
    made: Nanos
    """When that was, NEVER likewise."""
    blocked_by: RowIds
    """Where a task had it, and the run began with a new process once that had ended: the task's run, -1 otherwise."""


class SlotWaits:
    """Tells which runs waited for a slot of their node, by the task events."""

    def __init__(self, rules: CauseRules) -> None:
        self._rules = rules
        self.on_node = rules.about.on_node

    def find(self, run: RowIds, since: Nanos, until: Nanos) -> SlotWait:
        """Find what some runs, tasks or creations of actors, waited for in that time."""
        about = self._rules.about
        node, row = np.full(run.size, -1, dtype=np.int64), np.full(run.size, -1, dtype=np.int64)
        made, blocked_by = np.full(run.size, NEVER, dtype=np.int64), np.full(run.size, -1, dtype=np.int64)
        known = np.flatnonzero(about.states.known[run])
        if known.size == 0:
            return SlotWait(node, row, made, blocked_by)
        pieces = split_waits(self._rules, QueueIntervals(run[known], since[known], until[known]))
        # One whose results are not stored yet still has its slot.
        storing = (pieces.cause == CAUSES.index(Cause.STORE_FULL)) & (pieces.blocked_by >= 0)
        no_slot = pieces.cause == CAUSES.index(Cause.NO_SLOT)
        starting = pieces.cause == CAUSES.index(Cause.SLOT_START)
        waited = known[pieces.wait[storing | no_slot | starting]]
        node[waited] = about.node[run[waited]]
        by_actor = np.flatnonzero(no_slot & (pieces.blocked_by >= 0) & about.runs.is_creation[pieces.blocked_by])
        if about.actor_ends is not None and by_actor.size:
            actor, asker = about.runs.actor[pieces.blocked_by[by_actor]], known[pieces.wait[by_actor]]
            found, time = about.actor_ends.row[actor], about.actor_ends.made[actor]
            led = (found >= 0) & (time > since[asker]) & (time <= until[asker]) & (found != run[asker])
            row[asker[led]], made[asker[led]] = found[led], time[led]
        by_task = np.flatnonzero(no_slot & (pieces.blocked_by >= 0) & (about.runs.actor[pieces.blocked_by] < 0))
        had, asker = pieces.blocked_by[by_task], known[pieces.wait[by_task]]
        ended = about.structure.end[had]
        led = about.begins_process(run[asker]) & (ended > since[asker]) & (ended <= until[asker])
        blocked_by[asker[led]] = had[led]
        return SlotWait(node, row, made, blocked_by)

    def taken_from(self, run: RowIds) -> tuple[RowIds, RowIds]:
        """Give those of some runs that began with a new process once a task's run had ended, and that run."""
        about = self._rules.about
        run = run[(about.runs.actor[run] < 0) & (about.structure.submit[run] >= 0)]
        run = run[about.begins_process(run)]
        if run.size == 0:
            return run, run
        waits = self._rules.whole_waits(run)
        found = self.find(waits.run, waits.since, waits.until)
        led = found.blocked_by >= 0
        return waits.run[led], found.blocked_by[led]

    def fetched(self, run: RowIds) -> tuple[RowIds, Nanos]:
        """Give those of some runs whose arguments were pulled or restored while a slot was free, and until when."""
        about = self._rules.about
        run = run[(about.runs.actor[run] < 0) & (about.structure.submit[run] >= 0) & about.states.known[run]]
        until = self._rules.arguments_there(self._rules.whole_waits(run))
        return run[until > NEVER], until[until > NEVER]

    def ended_by(self, run: RowIds) -> tuple[RowIds, RowIds, Nanos]:
        """Give those of some runs that waited for what an actor had, and where and when that was ended."""
        ends = self._rules.about.actor_ends
        runs, structure = self._rules.about.runs, self._rules.about.structure
        run = run[((runs.actor[run] < 0) | runs.is_creation[run]) & (structure.submit[run] >= 0)]
        if ends is None or run.size == 0:
            return run[:0], run[:0], run[:0]
        waits = self._rules.whole_waits(run)
        # Few wait while an actor ends, and to split waits takes long.
        times = np.sort(ends.time[ends.row >= 0])
        ended = np.searchsorted(times, waits.until, side="right") > np.searchsorted(times, waits.since)
        waits = waits[ended]
        found = self.find(waits.run, waits.since, waits.until)
        led = found.row >= 0
        return waits.run[led], found.row[led], found.made[led]
