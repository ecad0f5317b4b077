"""Points within flows that others wait for: an item that was ready, or was taken, a method let go on, a turn, room.

Each is a span, a time in it, and the span that waits for that: a wait for its end, a run for its start.
"""

import numpy as np

from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.waiting import Waiting

_ITEM_AFTER_NS = 1_000_000
"""From how long on a wait for a generator that still ran was held up by it, and did not just fetch what was there."""


@frozen
class Signals:
    """Parallel arrays; rows are positions in the arrays of `Scoped`."""

    row: RowIds
    """A run, or the innermost span there."""
    time: Nanos
    waiter: RowIds

    @staticmethod
    def none() -> "Signals":
        """Give none at all."""
        nothing = np.empty(0, dtype=np.int64)
        return Signals(nothing, nothing, nothing)

    def joined(self, other: "Signals") -> "Signals":
        """Put both together."""
        pairs = zip((self.row, self.time, self.waiter), (other.row, other.time, other.waiter), strict=True)
        return Signals(*(np.concatenate(pair) for pair in pairs))


def find_signals(
    scoped: Scoped, runs: Runs, waiting: Waiting, rows: RowIds, slots_freed: Signals
) -> tuple[Signals, Flags]:
    """Find those of one scope, and tell those that hold only as long as there are no other slots.

    `rows` are those of the scope; `slots_freed` is where actors were ended whose slots runs waited for. Where an
    actor's turn or an item came with the end of a run, that is a point already.
    """
    inside = np.zeros(scoped.start.size, dtype=np.bool_)
    inside[rows] = True
    found = _items(scoped, waiting).joined(_wakers(scoped, waiting, rows)).joined(_turns(scoped, runs, waiting, rows))
    found = found.joined(_takers(scoped, waiting, rows)).joined(_placements(waiting, rows)).joined(slots_freed)
    of_slot = np.arange(found.row.size) >= found.row.size - slots_freed.row.size
    kept = inside[found.row] & inside[found.waiter] & (found.row != found.waiter)
    kept &= (found.time <= scoped.end[found.row]) & (found.time >= scoped.start[found.row])
    return Signals(found.row[kept], found.time[kept], found.waiter[kept]), of_slot[kept]


def _items(scoped: Scoped, waiting: Waiting) -> Signals:
    """When what a wait waited for was there before the run had ended; by the wait's end where that is not told."""
    waited = waiting.waited
    wait = np.repeat(np.arange(waited.first.size - 1), np.diff(waited.first))
    run, there = waited.members, waited.times
    is_told = there < scoped.structure.end[run]
    held_up = (scoped.end[run] > scoped.end[wait]) & (scoped.start[run] < scoped.end[wait])
    held_up &= scoped.end[wait] - scoped.start[wait] >= _ITEM_AFTER_NS
    if (asked := np.flatnonzero(held_up & ~is_told)).size:
        held_up[asked] = ~_timed_out(scoped, wait[asked], run[asked])
    kept = np.where(is_told, there <= scoped.end[wait], held_up)
    time = np.where(is_told, there, scoped.end[wait])
    return Signals(run[kept], time[kept], wait[kept])


def _timed_out(scoped: Scoped, wait: RowIds, run: RowIds) -> Flags:
    """Tell the pairs in which the wait came back without the run's result: nothing that this did let it go on."""
    structure = scoped.structure
    pairs = structure.start.size * wait + run
    ready_wait, ready_run = structure.ready_runs
    found: Flags = ~structure.in_flight[wait] & ~np.isin(pairs, structure.start.size * ready_wait + ready_run)
    return found


def _wakers(scoped: Scoped, waiting: Waiting, rows: RowIds) -> Signals:
    """What was executing last on its event loop when a suspended method went on."""
    if waiting.wakers is None:
        return Signals.none()
    waits = rows[:-1][waiting.wakers.is_asked[rows[:-1]]]
    run, time = waiting.wakers.find(waits, scoped.start[waits], scoped.end[waits])
    return Signals(run[run >= 0], time[run >= 0], waits[run >= 0])


def _takers(scoped: Scoped, waiting: Waiting, rows: RowIds) -> Signals:
    """Where its consumer took an item of a generator that was held back."""
    if waiting.takers is None:
        return Signals.none()
    held = rows[:-1][waiting.takers.take[rows[:-1]] >= 0]
    row, time = waiting.takers.find(scoped, held, scoped.end[held])
    return Signals(row[row >= 0], time[row >= 0], held[row >= 0])


def _turns(scoped: Scoped, runs: Runs, waiting: Waiting, rows: RowIds) -> Signals:
    """On an event loop, where the method that executed last before a run was suspended."""
    turns = waiting.turns
    methods = rows[:-1][turns.lane[rows[:-1]] >= 0]
    methods = methods[turns.on_loop[turns.lane[methods]] & ~runs.is_creation[methods]]
    freed = Latest(turns.freed, scoped.structure.start)
    start = scoped.start[methods]
    position = freed.before(turns.lane[methods], np.full(methods.size, np.iinfo(np.int64).min), start)
    run, time = freed.members_at(position), freed.times_at(position)
    kept = (position >= 0) & (time < scoped.structure.end[run])
    return Signals(run[kept], time[kept], methods[kept])


def _placements(waiting: Waiting, rows: RowIds) -> Signals:
    """Where room was made for the placement groups that runs waited for."""
    if waiting.placements is None:
        return Signals.none()
    runs = rows[:-1][waiting.placements.row[rows[:-1]] >= 0]
    return Signals(waiting.placements.row[runs], waiting.placements.made[runs], runs)
