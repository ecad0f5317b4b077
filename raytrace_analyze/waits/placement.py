"""Who made room for placement groups: nobody's result is waited for there, but what others hold."""

import numpy as np

from raytrace_analyze.names.attributes import AWAITED, RESOURCES, TIMED_OUT, parse_resources, told
from raytrace_analyze.names.awaited import PLACEMENT_GROUP
from raytrace_analyze.names.spans import REMOVAL
from raytrace_analyze.table.lineage import Flags, Hashes, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import NEVER, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import Timed, group_by_time
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen

WITHIN_NS = 1_000_000_000
"""Who gave resources back longer before than this did not make room: Ray tries again more often."""


@frozen
class GivenBack:
    """What came free: parallel arrays, but for `freed`."""

    maker: RowIds
    """A task's run that gave back what it held, or the call that removed a placement group."""
    row: RowIds
    """Whose work that was: the run itself, or the span within which the call was made; -1 where there is none."""
    run: RowIds
    """The run in which that was, -1 for a call of the driver's own."""
    there: Nanos
    """When it was over there: the end of the run, or the call."""
    freed: Timed
    """By number of the session: positions in these arrays, each with the time (ns) at which it came free."""
    sessions: Hashes
    """What the numbers stand for, in order."""

    def number_of(self, session: Hashes) -> RowIds:
        """Number sessions, -1 for those in which nothing came free."""
        position = np.searchsorted(self.sessions, session)
        known = np.minimum(position, max(self.sessions.size - 1, 0))
        if not self.sessions.size:
            return np.full(session.size, -1, dtype=np.int64)
        return np.where(self.sessions[known] == session, known, -1)


def given_back(runs: Runs, *, by_driver: bool) -> GivenBack:
    """Find who gave resources back: runs of tasks at their ends, and calls that removed placement groups.

    With `by_driver`, calls of the driver's own count, too.
    """
    structure = runs.structure
    holders = np.flatnonzero(structure.is_run & (runs.actor < 0))
    holders = holders[_holds_something(runs, holders)]
    removals = np.flatnonzero((structure.spans.get_column("name") == REMOVAL).to_numpy())
    removals = removals[by_driver | (structure.run_above[removals] >= 0)]
    remover, above = structure.run_above[removals], structure.parent[removals]
    inside = np.where(remover >= 0, remover, above)
    removed = structure.start[removals]
    clipped = np.clip(removed, structure.start[inside], structure.end[inside])
    removed = np.where(inside >= 0, clipped, removed)
    maker = np.concatenate([holders, removals])
    run = np.concatenate([holders, remover])
    sessions, number = np.unique(structure.mixed_session[maker], return_inverse=True)
    freed = group_by_time(
        number.astype(np.int64),
        sessions.size,
        np.arange(maker.size),
        np.concatenate([runs.held_until[holders], removed]),
        structure.lateness[np.where(run >= 0, run, maker)],
    )
    return GivenBack(
        maker=maker,
        row=np.concatenate([holders, above]),
        run=run,
        there=np.concatenate([structure.end[holders], removed]),
        freed=freed,
        sessions=sessions,
    )


def find_room_makers(runs: Runs) -> tuple[RowIds, RowIds, Nanos]:
    """Pair waits for placement groups with who made room last before they were there, and when (ns).

    That is the run of a task that gave its resources back, or the run that removed a placement group. Which resources
    were missing is not known: it is taken to be whatever came free last, on any node of the session.
    """
    structure = runs.structure
    waits = placement_waits(runs)
    if waits.size == 0:
        return waits, waits, waits
    back = given_back(runs, by_driver=False)
    last = latest_until(back.freed, back.number_of(structure.mixed_session[waits]), structure.end[waits])
    since = np.maximum(structure.start[waits], structure.end[waits] - WITHIN_NS)
    times = times_at(back.freed, last)
    found = (times > since) & (times != NEVER)
    chosen = members_at(back.freed, last)[found]
    return waits[found], back.run[chosen], back.there[chosen]


def placement_waits(runs: Runs) -> RowIds:
    """Give the waits for placement groups that came to be."""
    structure = runs.structure
    waits = np.flatnonzero(runs.is_wait & ~structure.is_run & ~structure.in_flight)
    texts = structure.spans.get_column("attributes").gather(waits)
    maybe = flags(texts.str.contains(PLACEMENT_GROUP, literal=True))
    waits, texts = waits[maybe], texts.filter(maybe)
    is_group = flags(told(texts, AWAITED).str.starts_with(PLACEMENT_GROUP)) & ~flags(told(texts, TIMED_OUT) == "true")
    return waits[is_group]


def _holds_something(runs: Runs, rows: RowIds) -> Flags:
    """Tell the runs of tasks that ask for resources: one CPU where nothing is told."""
    submit = runs.structure.submit[rows]
    attributes = runs.structure.spans.get_column("attributes").gather(np.maximum(submit, 0))
    texts = told(attributes, RESOURCES).to_list()
    asks = {text: text is None or bool(parse_resources(text)) for text in set(texts)}
    return np.array([asks[text] for text in texts], dtype=np.bool_) | (submit < 0)
