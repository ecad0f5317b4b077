"""Who let suspended methods go on: on an event loop, the run that was executing last before that.

An asynchronous method that awaits something else than a result of Ray's (an event, a lock, a queue) goes on because
some code on its actor let it, and an event loop executes one thing at a time.
"""

from dataclasses import dataclass

import numpy as np

from raytrace_analyze.attributes import AWAITED, told
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.groups import group_sorted, latest_last
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.suspensions import find_suspensions

WITHIN_NS = 5_000_000
"""How long before a method went on the run that let it must have been executing."""
TIMERS = ("asyncio.sleep",)
"""What nobody has to wake."""


@dataclass(frozen=True)
class Wakers:
    """Finds for suspensions who ended them."""

    is_asked: Flags
    """Of rows: suspensions that a run may have ended."""
    _run: RowIds
    """By row that is asked: the run that was suspended."""
    _actor: RowIds
    """By run: its actor."""
    _stops: Latest
    """By actor: when its runs stopped executing, as they ended or were suspended."""

    def find(self, wait: RowIds, start: Nanos, end: Nanos) -> tuple[RowIds, Nanos]:
        """Give for some suspensions (that are asked) the run that ended each, -1 for none, and when it stopped.

        Where the suspended run executed last itself, in a task of its own, that is none.
        """
        run = self._run[wait]
        position = self._stops.before(self._actor[run], np.maximum(start, end - WITHIN_NS - 1), end)
        waker = self._stops.members_at(position)
        waker = np.where(waker == run, -1, waker)
        return waker, np.where(waker >= 0, self._stops.times[position], end)


def find_wakers(runs: Runs) -> Wakers | None:
    """Read the suspensions of a table; None where there are none that a run may have ended."""
    structure, spans = runs.structure, runs.structure.spans
    suspensions, suspended, paused = find_suspensions(runs)
    if suspensions.size == 0:
        return None
    rows = spans.select("ready_task_ids", "attributes")[suspensions]
    awaited = told(rows.get_column("attributes"), AWAITED)
    named = (awaited.is_not_null() & ~awaited.is_in(TIMERS)).fill_null(value=False).to_numpy()
    is_none = (rows.get_column("ready_task_ids").list.len() == 0).to_numpy()
    asked = suspensions[named & is_none & ~structure.in_flight[suspensions]]
    if asked.size == 0:
        return None
    is_asked = np.zeros(spans.height, dtype=np.bool_)
    is_asked[asked] = True
    ended = runs.on_actor.members
    members, times = np.concatenate([ended, suspended]), np.concatenate([structure.end[ended], paused])
    order = latest_last(times, (-structure.start[members],), lambda some: structure.id_ranks(members[some]))
    members, times = members[order], times[order]
    stops = group_sorted(runs.actor[members], runs.on_actor.first.size - 1, members, times)
    return Wakers(is_asked, structure.run_above, runs.actor, Latest(stops, structure.start))
