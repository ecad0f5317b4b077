"""Who let suspended methods go on: on an event loop, the run that was executing last before that.

An asynchronous method that awaits something else than a result of Ray's (an event, a lock, a queue) goes on because
some code on its actor let it, and an event loop executes one thing at a time.

So does a method on one of an actor's threads, of which the sampler saw that it waited for others: the run that ended
last at about that time let it, unless it had just been waiting like that itself.
"""

import numpy as np

from raytrace_analyze.names.attributes import AWAITED, SAMPLED_TIMES, told
from raytrace_analyze.names.awaited import COMPILED_GRAPH, SLEEP
from raytrace_analyze.sampled.samples import LOOKS_NS
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import NEVER
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.groups import group_sorted, latest_last, positions
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.suspensions import find_suspensions

WITHIN_NS = 5_000_000
"""How long before a method went on the run that let it must have been executing."""
WITHIN_GRAPH_NS = 1_000_000_000
"""The same where an actor stops executing a compiled graph, which looks only so often whether that is torn down."""


@frozen
class Wakers:
    """Finds for suspensions who ended them."""

    is_asked: Flags
    """Of rows: suspensions that a run may have ended."""
    _within: Nanos
    """By row that is asked: how long before that the run must have been executing (ns)."""
    _run: RowIds
    """By row that is asked: the run that was suspended."""
    _actor: RowIds
    """By run: its actor."""
    _stops: Latest
    """By actor: when its runs stopped executing, as they ended or were suspended."""
    _is_sampled: Flags
    """Of rows: waits of threads, whose times are the sampler's."""
    _ends: Latest
    """By actor: when those of its runs ended that had not just been waiting for other threads."""

    def find(self, wait: RowIds, start: Nanos, end: Nanos) -> tuple[RowIds, Nanos]:
        """Give for some suspensions (that are asked) the run that ended each, -1 for none, and when it stopped.

        Where the suspended run executed last itself, in a task of its own, that is none.
        """
        run = self._run[wait]
        waker, stopped = self._last_stopped(self._stops, run, np.maximum(start, end - self._within[wait] - 1), end, end)
        threads = positions(self._is_sampled[wait])
        if threads.size:
            run, start, end = run[threads], start[threads], end[threads]
            since = np.maximum(start, end - LOOKS_NS - 1)
            waker[threads], stopped[threads] = self._last_stopped(self._ends, run, since, end + LOOKS_NS, end)
        return waker, stopped

    def _last_stopped(
        self, stops: Latest, run: RowIds, since: Nanos, until: Nanos, went_on: Nanos
    ) -> tuple[RowIds, Nanos]:
        position = stops.before(self._actor[run], since, until, went_on)
        waker = stops.members_at(position)
        waker = np.where(waker == run, -1, waker)
        return waker, np.where(waker >= 0, np.minimum(stops.times_at(position), went_on), went_on)


def find_wakers(runs: Runs) -> Wakers | None:
    """Read the suspensions of a table; None where there are none that a run may have ended."""
    structure, spans = runs.structure, runs.structure.spans
    suspensions, suspended, paused = find_suspensions(runs)
    if suspensions.size == 0:
        return None
    rows = spans.select("ready_task_ids", "attributes")[suspensions]
    awaited = told(rows.get_column("attributes"), AWAITED)
    named = (awaited.is_not_null() & (awaited != SLEEP)).fill_null(value=False).to_numpy()
    is_none = (rows.get_column("ready_task_ids").list.len() == 0).to_numpy()
    asked = suspensions[named & is_none & ~structure.in_flight[suspensions]]
    if asked.size == 0:
        return None
    is_asked = np.zeros(spans.height, dtype=np.bool_)
    is_asked[asked] = True
    within = np.full(spans.height, WITHIN_NS, dtype=np.int64)
    within[suspensions[flags(awaited.str.starts_with(COMPILED_GRAPH))]] = WITHIN_GRAPH_NS
    is_sampled = np.zeros(spans.height, dtype=np.bool_)
    of_threads = (told(rows.get_column("attributes"), SAMPLED_TIMES) == "true").fill_null(value=False).to_numpy()
    is_sampled[suspensions[of_threads]] = True
    ended = runs.on_actor.members
    members, times = np.concatenate([ended, suspended]), np.concatenate([structure.end[ended], paused])
    order = latest_last(times, (-structure.start[members],), lambda some: structure.id_ranks(members[some]))
    members, times = members[order], times[order]
    stops = group_sorted(runs.actor[members], runs.on_actor.first.size - 1, members, times)
    waited_until = np.full(spans.height, NEVER, dtype=np.int64)
    np.maximum.at(waited_until, suspended[of_threads], structure.end[suspensions[of_threads]])
    let_go = ended[structure.end[ended] - LOOKS_NS > waited_until[ended]]
    ends = group_sorted(runs.actor[let_go], runs.on_actor.first.size - 1, let_go, structure.end[let_go])
    return Wakers(
        is_asked,
        within,
        structure.run_above,
        runs.actor,
        Latest(stops, structure.start),
        is_sampled,
        Latest(ends, structure.start),
    )
