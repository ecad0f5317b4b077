"""Who made room for placement groups: nobody's result is waited for there, but what others hold."""

import numpy as np

from raytrace_analyze.attributes import AWAITED, RESOURCES, TIMED_OUT, parse_resources, told
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import NEVER, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import group_by_time
from raytrace_analyze.trace.relations import Runs

_REMOVAL = "placement_group.remove"
"""What the hook calls the removal of one."""
WITHIN_NS = 1_000_000_000
"""Who gave resources back longer before than this did not make room: Ray tries again more often."""
_GROUP = "placement group"
"""How what such waits wait for begins, in the hook's words."""


def find_room_makers(runs: Runs) -> tuple[RowIds, RowIds, Nanos]:
    """Pair waits for placement groups with who made room last before they were there, and when (ns).

    That is the run of a task that gave its resources back, or the run that removed a placement group. Which resources
    were missing is not known: it is taken to be whatever came free last, on any node of the session.
    """
    structure = runs.structure
    waits = _waits(runs)
    if waits.size == 0:
        return waits, waits, waits
    holders = np.flatnonzero(structure.is_run & (runs.actor < 0))
    holders = holders[_holds_something(runs, holders)]
    removals = np.flatnonzero((structure.spans.get_column("name") == _REMOVAL).to_numpy())
    removals = removals[structure.run_above[removals] >= 0]
    remover = structure.run_above[removals]
    removed = np.clip(structure.start[removals], structure.start[remover], structure.end[remover])
    maker = np.concatenate([holders, remover])
    when = np.concatenate([runs.held_until[holders], removed])
    there = np.concatenate([structure.end[holders], removed])
    sessions = structure.spans.get_column("session").fill_null("").rank("dense").to_numpy().astype(np.int64)
    freed = group_by_time(
        sessions[maker], int(sessions.max()) + 1, np.arange(maker.size), when, structure.lateness[maker]
    )
    last = latest_until(freed, sessions[waits], structure.end[waits])
    since = np.maximum(structure.start[waits], structure.end[waits] - WITHIN_NS)
    times = times_at(freed, last)
    found = (times > since) & (times != NEVER)
    chosen = members_at(freed, last)[found]
    return waits[found], maker[chosen], there[chosen]


def _waits(runs: Runs) -> RowIds:
    """Give the waits for placement groups that came to be."""
    structure = runs.structure
    waits = np.flatnonzero(runs.is_wait & ~structure.is_run & ~structure.in_flight)
    texts = structure.spans.get_column("attributes").gather(waits)
    maybe = flags(texts.str.contains(_GROUP, literal=True))
    waits, texts = waits[maybe], texts.filter(maybe)
    is_group = flags(told(texts, AWAITED).str.starts_with(_GROUP)) & ~flags(told(texts, TIMED_OUT) == "true")
    return waits[is_group]


def _holds_something(runs: Runs, rows: RowIds) -> Flags:
    """Tell the runs of tasks that ask for resources: one CPU where nothing is told."""
    submit = runs.structure.submit[rows]
    attributes = runs.structure.spans.get_column("attributes").gather(np.maximum(submit, 0))
    texts = told(attributes, RESOURCES).to_list()
    asks = {text: text is None or bool(parse_resources(text)) for text in set(texts)}
    return np.array([asks[text] for text in texts], dtype=np.bool_) | (submit < 0)
