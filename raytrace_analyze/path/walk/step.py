"""One step of the walk for many states at once: the rules of the definition, in its order, column by column.

A state is a span and a time. What follows it does not depend on how it was reached, so states of any scopes can be
asked about together.
"""

import numpy as np

from raytrace_analyze.names.attributes import AWAITED_TASK_IDS
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.walk.hops import FETCH, SELF, SUBMIT, WAIT, Hops
from raytrace_analyze.path.walk.late_submissions import find_late_submissions
from raytrace_analyze.path.walk.open_spans import find_open_spans
from raytrace_analyze.path.walk.overlap import find_overlaps
from raytrace_analyze.path.walk.predecessors import Asked, Origins
from raytrace_analyze.path.walk.via import code
from raytrace_analyze.queueing.slot_waits import SlotWaits
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.groups import positions
from raytrace_analyze.trace.joins import asked_for, joins
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.vocabulary.options import Queues
from raytrace_analyze.vocabulary.paths import Via
from raytrace_analyze.waits.replicas import Room
from raytrace_analyze.waits.waiting import Waiting, find_waiting


class Stepper:
    """Finds what states lead to."""

    def __init__(
        self,
        scoped: Scoped,
        runs: Runs,
        options: PathOptions,
        slots: SlotWaits | None = None,
        waiting: Waiting | None = None,
    ) -> None:
        waiting = waiting or find_waiting(runs)
        self.scoped, self.structure = scoped, scoped.structure
        by_end = joins(scoped, runs, infer=options.infer)
        self._joins = Latest(by_end, scoped.start)
        self._is_inferred = self.structure.is_run.copy()
        """Whether a run that is joined is taken to have been waited for, or known to."""
        self._is_inferred[asked_for(scoped)] = False
        self._overlaps = find_overlaps(scoped, by_end, options.overlap_tolerance)
        self._open = find_open_spans(scoped, runs)
        self._late = find_late_submissions(scoped, self._open)
        self._ready = waiting.waited
        self._claimed = runs.claimed
        self._is_creation = runs.is_creation
        self._origins = Origins(runs, waiting, options, slots)
        self._wakers = waiting.wakers
        self._takers = waiting.takers
        self._ended_by = waiting.ended_by
        self._room = waiting.room if options.queues is Queues.FOLLOW else None
        roots = np.zeros(scoped.start.size - scoped.span_count, dtype=np.bool_)
        self._is_wait = np.concatenate([runs.is_wait, roots])
        self._is_run = np.concatenate([self.structure.is_run, roots])
        self._is_submit = np.concatenate([self.structure.is_submit, roots])
        spans = self.structure.spans
        # Few waits come back with nothing, and looking through attributes takes long.
        self._got_nothing = flags(spans.get_column("ready_task_ids").list.len() == 0)
        asks_nothing = self._got_nothing.copy()
        empty = np.flatnonzero(self._got_nothing)
        asks = spans.get_column("attributes").gather(empty).str.contains(AWAITED_TASK_IDS, literal=True)
        self._got_nothing[empty] = flags(asks)
        asks_nothing[empty] = ~flags(asks)
        self._is_other_wait = self._is_wait.copy()
        self._is_other_wait[: asks_nothing.size] &= asks_nothing
        self._has_failed = flags(spans.get_column("status") == "ERROR")
        self._broken_off = self._find_broken_off()

    def _find_broken_off(self) -> Flags:
        """Tell the waits that something else ended than what they had got, before all was there."""
        texts, found = self.structure.spans.get_column("attributes"), np.zeros_like(self._has_failed)
        failed = np.flatnonzero(self._has_failed & self._is_wait[: found.size])
        found[failed] = flags(texts.gather(failed).str.contains(AWAITED_TASK_IDS, literal=True))
        if found.any():
            wait, run = self.structure.ready_runs
            found[wait[self._has_failed[run]]] = False
        return found

    def take(self, row: RowIds, time: Nanos, barred: Flags | None = None) -> Hops:
        """Take one step from each state; none that is `barred` goes through a wait to what it came back with."""
        hops = Hops.begin(row, time)
        start = self.scoped.start[row]
        waits = positions(self._is_wait[row] if barred is None else self._is_wait[row] & ~barred)
        if waits.size:
            self._through_waits(hops, waits, start[waits])
            self._to_wakers(hops, waits, start[waits])
            self._to_takers(hops, waits)
        if self._ended_by is not None:
            self._to_calls(hops, positions(hops.next_row < 0), self._ended_by)
        if self._room is not None:
            self._to_room(hops, positions(hops.next_row < 0), self._room)
        rest = positions(hops.next_row < 0)
        self._into_children(hops, rest, start[rest])
        rest = positions(hops.next_row < 0)
        self._back(hops, rest, start[rest])
        return hops

    # Rule 1

    def _through_waits(self, hops: Hops, waits: RowIds, start: Nanos) -> None:
        """Go to the run that a wait came back with; one outside the scope is only noted."""
        if self._ready.members.size == 0:
            return
        row, time = hops.row[waits], hops.time[waits]
        position = self._ready.before(row, start, time)
        run = self._ready.members_at(position)
        still = self._still_running(row, time, start, run)
        run = np.where(still >= 0, still, run)
        there = np.where(still >= 0, time, self._ready.times[position])
        found = run >= 0
        self._to_run(hops, waits[found], run[found], there[found], Via.WAIT)

    def _to_run(self, hops: Hops, waits: RowIds, run: RowIds, ended: Nanos, via: Via) -> None:
        """Go from waits to what runs were in, at the times given; a run outside the scope is only noted."""
        inside = self.scoped.scope_of[run] == self.scoped.scope_of[hops.row[waits]]
        hops.blocker[waits] = np.where(inside, -1, run)
        waits = waits[inside]
        hops.down[waits] = hops.queue_from[waits] = hops.next_time[waits] = ended[inside]
        run, ended = run[inside], ended[inside]
        hops.next_row[waits] = run if self._open is None else self._open.innermost(run, ended)
        # From an attempt that failed nothing was on its way, nor from one that never ended to a wait in vain.
        got_nothing, wait_failed = self._got_nothing[hops.row[waits]], self._has_failed[hops.row[waits]]
        in_vain = self.structure.in_flight[run] & (got_nothing | wait_failed)
        is_over = (got_nothing & self._has_failed[run]) | in_vain | self._broken_off[hops.row[waits]]
        hops.category[waits] = np.where(is_over, WAIT, FETCH) if via == Via.WAIT else FETCH
        hops.via[waits] = code(via)

    def _to_wakers(self, hops: Hops, waits: RowIds, start: Nanos) -> None:
        """Go from the end of a suspension to the run that was executing last on the event loop."""
        if self._wakers is None:
            return
        row = hops.row[waits]
        # What is asked of is no virtual root: these are no waits.
        asked = positions(self._wakers.is_asked[row] & (hops.time[waits] == self.scoped.end[row]))
        if asked.size == 0:
            return
        run, stopped = self._wakers.find(row[asked], start[asked], hops.time[waits[asked]])
        found = positions(run >= 0)
        self._to_run(hops, waits[asked[found]], run[found], stopped[found], Via.WAKER)

    def _to_takers(self, hops: Hops, waits: RowIds) -> None:
        """Go from where a generator was let go on to its consumer, as it took the item before."""
        if self._takers is None:
            return
        row = hops.row[waits]
        asked = waits[(self._takers.take[row] >= 0) & (hops.time[waits] == self.scoped.end[row])]
        consumer, took = self._takers.find(self.scoped, hops.row[asked], hops.time[asked])
        asked, consumer, took = asked[consumer >= 0], consumer[consumer >= 0], took[consumer >= 0]
        hops.down[asked] = hops.queue_from[asked] = hops.next_time[asked] = took
        hops.next_row[asked] = consumer
        hops.category[asked] = WAIT
        hops.via[asked] = code(Via.CONSUMER)

    def _to_calls(self, hops: Hops, asked: RowIds, ended_by: RowIds) -> None:
        """Go from the end of a run to where the call was made that ended it; calls themselves take no time."""
        row = hops.row[asked]
        asked = asked[(row < ended_by.size) & (hops.time[asked] == self.scoped.end[row])]
        row = hops.row[asked]
        call = ended_by[row]
        inside = (call >= 0) & (self.scoped.scope_of[call] == self.scoped.scope_of[row]) & ~self.scoped.detached[call]
        asked, call = asked[inside], call[inside]
        # Strictly earlier, whatever the call's own times say: so the walk ends.
        called = np.minimum(self.scoped.start[call], hops.time[asked] - 1)
        hops.down[asked] = hops.queue_from[asked] = hops.next_time[asked] = called
        hops.next_row[asked] = self.scoped.parent[call]
        hops.blocker[asked] = -1
        hops.via[asked] = code(Via.CANCEL)

    def _to_room(self, hops: Hops, asked: RowIds, room: Room) -> None:
        """Go from where a request of Ray Serve was sent to the end of the one that made room at its replica."""
        asked = asked[hops.row[asked] < room.handler.size]
        row = hops.row[asked]
        handler, made, time = room.handler[row], room.made[row], hops.time[asked]
        inside = (handler >= 0) & (made <= time) & (time <= room.sent[row]) & (made > self.scoped.start[row])
        inside &= (self.scoped.scope_of[handler] == self.scoped.scope_of[row]) & (made <= self.scoped.end[handler])
        asked, handler, made = asked[inside], handler[inside], made[inside]
        hops.down[asked] = hops.queue_from[asked] = hops.next_time[asked] = made
        hops.next_row[asked] = handler
        hops.blocker[asked] = -1
        hops.via[asked] = code(Via.ACTOR)

    def _still_running(self, wait: RowIds, time: Nanos, start: Nanos, ended: RowIds) -> RowIds:
        """Give for each wait the best ready run that was running when it came back, -1 where none was.

        Best is the one that started first, then the greater id; one that ended just then counts as running if another
        one was. This is a generator that gave an item, or a clock that differs. Where none had `ended` (-1) either, a
        run that had been submitted before the wait will do, unless it was given up: the wait came back in vain while
        the run waited to start.
        """
        found = np.full(wait.size, -1, dtype=np.int64)
        first, times = self._ready.first, self._ready.times
        last = first[wait + 1] - 1
        asked = positions((last >= first[wait]) & (time > start))
        asked = asked[times[last[asked]] > time[asked]]
        for number in asked.tolist():
            low, high = int(first[wait[number]]), int(last[number]) + 1
            low += int(np.searchsorted(times[low:high], time[number], side="left"))
            run = self._ready.members[low:high]
            is_running = self.structure.start[run] < time[number]
            run = run[is_running] if is_running.any() or ended[number] >= 0 else self._submitted(run, start[number])
            if run.size:
                began = self.structure.start[run]
                run = run[began == began.min()]
                found[number] = run[self.structure.id_ranks(run).argmax()] if run.size > 1 else run[0]
        return found

    def _submitted(self, run: RowIds, before: int) -> RowIds:
        """Give those runs that had been submitted before a time (ns), and that somebody waited for until they ended.

        For a creation that was by its call.
        """
        submit, was_claimed = self.structure.submit[run], self._claimed[run] | self._is_creation[run]
        return run[(submit >= 0) & (self.structure.end[submit] <= before) & was_claimed]

    # Rule 2

    def _into_children(self, hops: Hops, asked: RowIds, start: Nanos) -> None:
        """Go to the child that ended last."""
        time = hops.time[asked]
        position = self._joins.before(hops.row[asked], start, time)
        child = self._joins.members_at(position)
        ended = np.where(position >= 0, self._joins.times[position], time) if self._joins.times.size else time
        if self._overlaps is not None:
            late = self._overlaps.children(hops.row[asked], time, np.where(ended == time, child, -1))
            child, ended = np.where(late >= 0, late, child), np.where(late >= 0, time, ended)
        has_child = child >= 0
        asked, child, ended = asked[has_child], child[has_child], ended[has_child]
        hops.down[asked] = hops.queue_from[asked] = hops.next_time[asked] = ended
        hops.next_row[asked] = child
        hops.blocker[asked] = -1
        # What a wait for something else than results has left once what is nested in it is over, it waits on.
        hops.category[asked] = np.where(self._is_other_wait[hops.row[asked]], WAIT, SELF)
        hops.via[asked] = np.where(self._is_inferred[child], code(Via.INFERRED), code(Via.JOIN))

    # Rule 3

    def _back(self, hops: Hops, asked: RowIds, start: Nanos) -> None:
        """Book the span's own time, and go to where it came from."""
        row = hops.row[asked]
        until = np.minimum(start, hops.time[asked])
        hops.down[asked] = start
        hops.queue_from[asked] = hops.next_time[asked] = until
        hops.category[asked] = np.where(self._is_submit[row], SUBMIT, np.where(self._is_wait[row], WAIT, SELF))
        parent = self.scoped.parent[row]
        is_run = self._is_run[row]
        root = self.scoped.span_count + self.scoped.scope_of[row]
        hops.next_row[asked] = np.where(is_run & (parent < 0), root, parent)
        hops.via[asked] = code(Via.JOIN)
        submitted = positions(is_run & (parent >= 0))
        if submitted.size:
            self._to_origin(hops, asked[submitted], until[submitted])

    def _to_origin(self, hops: Hops, asked: RowIds, until: Nanos) -> None:
        """Book a run's queue, and go to what let it start: another run, else its submit."""
        run = hops.row[asked]
        submit = self.scoped.parent[run]
        since = np.minimum(self.scoped.end[submit], until)
        found = self._origins.find(run, submit, since, until)
        if self._late is not None:
            since = self._late.look_again(self._origins, found, Asked(run, submit, since, until))
        there = found.row >= 0
        inside = there & (self.scoped.scope_of[found.row] == self.scoped.scope_of[run])
        time = np.where(inside, found.time, since)
        hops.queue_from[asked] = hops.next_time[asked] = time
        hops.queue_blocker[asked] = np.where(there & ~inside, found.row, -1)
        maker = submit if self._late is None else self._late.maker(submit, since)
        hops.next_row[asked] = np.where(inside, found.row, maker)
        hops.via[asked] = np.where(inside, found.via, code(Via.SUBMIT))
