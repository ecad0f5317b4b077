"""What a run waited for before it started, piece by piece: the rules, for many runs at once.

Each rule says "until then it was that"; in their order, and clipped to one another, they tile the wait. Ray's task
events decide where a run has them, else the spans do.
"""

import numpy as np

from raytrace_analyze.queueing.beyond import Beyond
from raytrace_analyze.queueing.causes import CAUSES, CauseBound, Codes, QueueIntervals
from raytrace_analyze.queueing.circumstances import Circumstances
from raytrace_analyze.queueing.task_states import first_known
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import NEVER, latest_other, latest_until, members_at, times_at
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.waits.waiting import Waiting

UNKNOWN_FROM_NS = 50_000_000
"""Ray's own way takes milliseconds: what takes longer is something else."""
PROCESS_ENDS_NS = 1_000_000_000
"""How long it takes at most until an actor's process has ended, and what it had is free."""
TRANSFER_FROM_NS = 10_000_000
"""From how long on an unexplained wait of a task with arguments from another node is taken for their transfer."""
FREE_FOR_NS = 200_000_000
"""A slot that was free for so long nobody waited for whose arguments were there."""


class CauseRules:
    """Knows what every run of a table could have waited for."""

    def __init__(self, structure: Structure, runs: Runs, waiting: Waiting, beyond: Beyond | None = None) -> None:
        self.about = Circumstances(structure, runs, waiting, beyond)

    def whole_waits(self, runs: RowIds) -> QueueIntervals:
        """Give the waits of submitted runs from their submit, or the attempt before, to their start."""
        structure = self.about.structure
        until = structure.start[runs]
        earlier, _ = self.about.earlier(runs, until)
        since = np.maximum(np.minimum(structure.end[structure.submit[runs]], until), earlier)
        return QueueIntervals(runs, since, until)

    def of_tasks(self, waits: QueueIntervals) -> list[CauseBound]:
        """Rules for tasks and actors' creations without task events."""
        dependency = self._dependency(waits)
        ready = np.maximum(waits.since, dependency.time)
        roomy = self._roomy(waits.run, ready, waits.until, dependency.blocked_by)
        *slot, stored, last = self._slot(waits.run, np.maximum(ready, roomy.time), waits.until)
        rest = self._rest(waits, np.maximum.reduce([ready, slot[-1].time, stored.time]), dependency.blocked_by)
        is_open = last.cause == CAUSES.index(Cause.DISPATCH)
        cause, blocked_by = np.where(is_open, rest.cause, last.cause), np.where(is_open, rest.blocked_by, -1)
        return [dependency, roomy, *slot, stored, CauseBound(cause, waits.until, blocked_by)]

    def of_methods(self, waits: QueueIntervals) -> list[CauseBound]:
        """Rules for actors' methods without task events."""
        dependency = self._dependency(waits)
        creation = self._creation(waits)
        before = self._busy(
            waits.run, np.where(creation.blocked_by >= 0, self.about.structure.start[creation.blocked_by], NEVER)
        )
        busy = self._busy(waits.run, waits.until)
        since = np.maximum.reduce([waits.since, dependency.time, creation.time, busy.time])
        return [dependency, before, creation, busy, self._rest(waits, since, dependency.blocked_by)]

    def of_tasks_with_events(self, waits: QueueIntervals) -> list[CauseBound]:
        """Rules for tasks and actors' creations whose states are known."""
        states, run = self.about.states, waits.run
        ready, placed, since, granted = self._until_granted(waits)
        loading = self._loading(waits, np.maximum(granted, states.running[run]))
        fetched = CauseBound(_code(Cause.RESTORE, run), self._fetched(run, since, granted), _nobody(waits))
        *slot, stored, last = self._slot(run, since, granted)
        return [ready, placed, fetched, *slot, stored, *self._lease(run, last), *loading]

    def arguments_there(self, waits: QueueIntervals) -> Nanos:
        """Tell until when the arguments of tasks whose states are known were not there while a slot was free.

        NEVER for those that no slot was free for.
        """
        _, _, since, granted = self._until_granted(waits)
        return self._fetched(waits.run, since, granted)

    def _until_granted(self, waits: QueueIntervals) -> tuple[CauseBound, CauseBound, Nanos, Nanos]:
        """What is to be there before a slot is asked for, when that was, and when the task was sent to a worker."""
        run = waits.run
        ready, placed = self._ready(waits), self._placed(run)
        granted = first_known(self.about.states.submitted[run], self.about.states.running[run], waits.until)
        return ready, placed, np.maximum.reduce([waits.since, ready.time, placed.time]), granted

    def of_methods_with_events(self, waits: QueueIntervals) -> list[CauseBound]:
        """Rules for actors' methods whose states are known."""
        states, run = self.about.states, waits.run
        ready, creation = self._ready(waits), self._creation(waits)
        alive = first_known(states.submitted[run], waits.since)
        announced = np.maximum(creation.time, self.about.done(creation.blocked_by))
        was_alive = (creation.blocked_by >= 0) & (announced <= np.maximum(ready.time, waits.since))
        start = _code(Cause.ACTOR_START, run)
        start[was_alive] = CAUSES.index(Cause.DISPATCH)
        turn = first_known(states.running[run], waits.until)
        nobody = _nobody(waits)
        return [
            ready,
            CauseBound(start, alive, np.where(was_alive, -1, creation.blocked_by)),
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

    def _rest(self, waits: QueueIntervals, since: Nanos, dependency: RowIds) -> CauseBound:
        """What is left without another sign: another attempt's delay, arguments from another node, the way there."""
        _, attempt = self.about.earlier(waits.run, waits.until)
        node = self.about.structure.spans.get_column("node_id")
        code = _code(Cause.DISPATCH, waits.run)
        slow = np.flatnonzero((dependency >= 0) & (waits.until - since >= TRANSFER_FROM_NS))
        if slow.size:
            elsewhere = flags(node.gather(dependency[slow]) != node.gather(waits.run[slow]))
            code[slow[elsewhere]] = CAUSES.index(Cause.TRANSFER)
        code[attempt >= 0] = CAUSES.index(Cause.RETRY)
        return CauseBound(code, waits.until, attempt)

    def _dependency(self, waits: QueueIntervals) -> CauseBound:
        """The result that came last."""
        found = latest_until(self.about.runs.dependencies, self.about.structure.submit[waits.run], waits.until)
        return CauseBound(
            _code(Cause.DEPENDENCY, waits.run),
            times_at(self.about.runs.dependencies, found),
            members_at(self.about.runs.dependencies, found),
        )

    def _ready(self, waits: QueueIntervals) -> CauseBound:
        """The arguments, or the delay before another attempt, by the task events."""
        dependency = self._dependency(waits)
        _, attempt = self.about.earlier(waits.run, waits.until)
        # Of one that has no span only the number of the next one tells.
        is_retry = (attempt >= 0) | self.about.is_another[waits.run]
        # What takes nobody's result waits for none: that is how long Ray itself takes.
        takes_none = self.about.runs.recorded[waits.run] & ~self.about.takes_results[waits.run]
        ready = np.where(takes_none, CAUSES.index(Cause.DISPATCH), CAUSES.index(Cause.DEPENDENCY))
        code = np.where(is_retry, CAUSES.index(Cause.RETRY), ready).astype(np.int8)
        time = first_known(self.about.states.node_assignment[waits.run], dependency.time)
        return CauseBound(code, time, np.where(is_retry, attempt, dependency.blocked_by))

    def _creation(self, waits: QueueIntervals) -> CauseBound:
        """The creation of the actor."""
        found = latest_other(self.about.creations, self.about.runs.actor[waits.run], waits.until, waits.run)
        return CauseBound(
            _code(Cause.ACTOR_START, waits.run),
            times_at(self.about.creations, found),
            members_at(self.about.creations, found),
        )

    def _busy(self, run: RowIds, until: Nanos) -> CauseBound:
        """The calls of its group that held the turns: as many as may run at once, or the one on the event loop."""
        freed = self.about.turns.freed
        found = latest_until(freed, self.about.turns.lane[run], until)
        return CauseBound(_code(Cause.ACTOR_BUSY, run), times_at(freed, found), members_at(freed, found))

    def _slot(self, run: RowIds, since: Nanos, until: Nanos) -> list[CauseBound]:
        """A slot of the node, then results of the run that had it, then the worker process if it was still to come.

        A run keeps its slot until its results are stored, which takes long where there is no room for them. What a
        process began with had it to start; all that ran there later stood behind that for a slot.
        """
        runs = self.about.runs
        before = latest_other(runs.on_worker, runs.worker[run], until, run)
        time, blocked_by = times_at(runs.on_worker, before), members_at(runs.on_worker, before)
        freed, owner = self.about.slots.waited(run, until)
        # While the node had room nobody waited for a slot, whoever used the same process in the meantime.
        has_room = self.about.is_counted[run] & (freed <= since)
        blocked_by = np.where(freed > time, owner, blocked_by)
        # The slot is given on when the one who submitted the task that had it knows that it is over.
        time = np.maximum(np.maximum(time, freed), np.minimum(self.about.done(blocked_by), until))
        waited = (time > since) & ~has_room
        # What an actor had is free once its process has ended, too: no new one was waited for.
        by_actor = waited & (blocked_by >= 0) & runs.is_creation[blocked_by] & ~self.about.begins_process(run)
        time = np.where(by_actor & (until - time <= PROCESS_ENDS_NS), np.maximum(time, until), time)
        last = _code(Cause.DISPATCH, run)
        is_late = until - np.where(waited, time, since) > UNKNOWN_FROM_NS
        last[is_late & self.about.takes_results[run] & self.about.states.known[run]] = CAUSES.index(Cause.RESTORE)
        last[self.about.begins_process(run)] = CAUSES.index(Cause.WORKER_START)
        blocked_by = np.where(waited, blocked_by, -1)
        ended = self.about.structure.end[blocked_by]
        storing = waited & (blocked_by >= 0) & self.about.long_to_store[blocked_by]
        return [
            *self._starting(run, since, blocked_by),
            CauseBound(_code(Cause.NO_SLOT, run), np.where(waited, np.where(storing, ended, time), NEVER), blocked_by),
            CauseBound(_code(Cause.STORE_FULL, run), np.where(storing, time, NEVER), np.where(storing, blocked_by, -1)),
            CauseBound(last, until, np.full(run.size, -1, dtype=np.int64)),
        ]

    def _fetched(self, run: RowIds, since: Nanos, until: Nanos) -> Nanos:
        """Until when arguments were pulled or restored though a slot was free: Ray asks for one after that."""
        return self._had_room(run, since, until, self.about.takes_results[run])

    def _had_room(self, run: RowIds, since: Nanos, until: Nanos, asks: Flags) -> Nanos:
        """Tell until when a slot was free for long, of those that are asked for and of which it can be told; NEVER."""
        about = self.about
        time = np.full(run.size, NEVER, dtype=np.int64)
        rows = np.flatnonzero(asks & ~about.begins_process(run))
        if rows.size:  # what is asked of next takes long to tell
            rows = rows[about.is_counted[run[rows]]]
        if rows.size:
            time[rows] = about.slots.had_room_until(run[rows], since[rows], until[rows], FREE_FOR_NS, about.begins)
        return time

    def _roomy(self, run: RowIds, since: Nanos, until: Nanos, dependency: RowIds) -> CauseBound:
        """Until when a slot of the node was free for long: what waited meanwhile did not wait for one.

        Of what took no result that is told, and was not tried before: such may have waited for these.
        """
        asks = (dependency < 0) & ~self.about.is_another[run] & (until - since >= FREE_FOR_NS)
        if asks.any():
            asks &= self.about.earlier(run, until)[1] < 0
        time = self._had_room(run, since, until, asks)
        return CauseBound(_code(Cause.UNKNOWN, run), time, np.full(run.size, -1, dtype=np.int64))

    def _starting(self, run: RowIds, since: Nanos, blocked_by: RowIds) -> list[CauseBound]:
        """While no slot was free: how long the process was starting in which `blocked_by` ran, which had the slot then.

        Before that process was given its slot somebody else had it.
        """
        about = self.about
        nobody = np.full(run.size, -1, dtype=np.int64)
        first = np.where(blocked_by >= 0, about.first_beside(np.maximum(blocked_by, 0)), -1)
        begun = np.where(first >= 0, about.starting_from[first], NEVER)
        ran = np.where(begun > NEVER, about.structure.start[first], NEVER)
        starts = (begun > NEVER) & (np.maximum(begun, since) + UNKNOWN_FROM_NS < ran)
        return [
            CauseBound(_code(Cause.NO_SLOT, run), np.where(starts, begun, NEVER), nobody),
            CauseBound(_code(Cause.SLOT_START, run), np.where(starts, ran, NEVER), np.where(starts, first, -1)),
        ]

    def _lease(self, run: RowIds, last: CauseBound) -> list[CauseBound]:
        """Where Ray says it, room in the object store and the arguments, before a worker was given."""
        full, fetching = self.about.states.store_memory[run], self.about.states.lease_args[run]
        first = np.where(full > NEVER, full, fetching)
        stored = np.where(fetching > full, fetching, last.time)
        return [
            CauseBound(last.cause, first, last.blocked_by),
            CauseBound(_code(Cause.STORE_FULL, run), np.where(full > NEVER, stored, NEVER), last.blocked_by),
            CauseBound(_code(Cause.RESTORE, run), np.where(fetching > NEVER, last.time, NEVER), last.blocked_by),
            last,
        ]

    def _placed(self, run: RowIds) -> CauseBound:
        """The placement group that a run was in, until that was there, and who made room for it."""
        found = self.about.placements
        if found is None:
            nobody = np.full(run.size, -1, dtype=np.int64)
            return CauseBound(_code(Cause.PLACEMENT, run), np.full(run.size, NEVER, dtype=np.int64), nobody)
        return CauseBound(_code(Cause.PLACEMENT, run), found.until[run], found.maker[run])

    def _loading(self, waits: QueueIntervals, running: Nanos) -> list[CauseBound]:
        """From the worker to the function's body: the way there, code and arguments, the span's own start."""
        states, runs, run = self.about.states, self.about.runs, waits.run
        is_first, on_actor = self.about.begins_process(run), runs.actor[run] >= 0
        # Several calls of an async actor share one profile: theirs says nothing of this one.
        turns, shares = self.about.turns, np.zeros(run.size, dtype=np.bool_)
        lane = turns.lane[run[on_actor]]
        alone = turns.is_known[lane] & (turns.limit[lane] == 1)
        shares[on_actor] = (~runs.serial_actor[runs.actor[run[on_actor]]] & ~alone) | turns.on_loop[lane]
        # Without a profile: Ray says RUNNING, and then unpacks arguments and loads what these need.
        is_silent = ~shares & (states.execute[run] == NEVER) & (running > NEVER)
        rest = _code(Cause.DISPATCH, run)
        known_until = np.maximum.reduce([running, states.arguments[run], states.arguments_end[run]])
        rest[is_silent & (waits.until - known_until > UNKNOWN_FROM_NS)] = CAUSES.index(Cause.FUNCTION_LOAD)
        fetch = np.where(is_first, CAUSES.index(Cause.FUNCTION_LOAD), CAUSES.index(Cause.TRANSFER)).astype(np.int8)
        load, nobody = _code(Cause.FUNCTION_LOAD, run), _nobody(waits)
        return [
            CauseBound(_code(Cause.DISPATCH, run), running, nobody),
            CauseBound(load, np.where(shares, NEVER, states.arguments[run]), nobody),
            CauseBound(fetch, np.where(shares, NEVER, states.arguments_end[run]), nobody),
            CauseBound(load, np.where(shares, NEVER, states.execute[run]), nobody),
            CauseBound(rest, waits.until, nobody),
        ]


def _code(cause: Cause, run: RowIds) -> Codes:
    return np.full(run.size, CAUSES.index(cause), dtype=np.int8)


def _nobody(waits: QueueIntervals) -> RowIds:
    return np.full(waits.run.size, -1, dtype=np.int64)
