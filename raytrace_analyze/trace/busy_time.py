"""How much of their time runs worked: what they took, less what they waited."""

import numpy as np
import polars as pl

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.span_arrays import Structure


def work_ns(structure: Structure, rows: RowIds, until: int | None = None) -> int:
    """Sum the time (ns) of the runs among `rows`, less the time in which some recorded wait of theirs was open.

    What they do after a time `until`, the end of what is looked at, does not count.

    A run's waits are those anywhere in its control flow, threads included; waits side by side count once.
    """
    inside = np.zeros(structure.spans.height, dtype=np.bool_)
    inside[rows] = True
    run = np.flatnonzero(structure.is_run & inside)
    last = structure.end if until is None else np.minimum(structure.end, until)
    took = int(np.maximum(last[run] - structure.start[run], 0).sum())
    is_wait = structure.spans.get_column("ready_task_ids").is_not_null().to_numpy() & ~structure.is_run
    waits = np.flatnonzero(is_wait)
    owner = structure.run_above[waits]
    waits, owner = waits[owner >= 0], owner[owner >= 0]
    waits, owner = waits[inside[owner]], owner[inside[owner]]
    waited = covered(
        owner,
        np.maximum(structure.start[waits], structure.start[owner]),
        np.minimum(structure.end[waits], last[owner]),
    )
    return took - int(waited.get_column("covered_ns").sum())


def covered(owner: RowIds, start: Nanos, end: Nanos) -> pl.DataFrame:
    """Sum for each owner the time that its intervals cover together: columns `owner` and `covered_ns`."""
    order = np.flatnonzero(end > start)
    order = order[np.lexsort((start[order], owner[order]))]
    owner, start, end = owner[order], start[order], end[order]
    is_first = np.append(True, owner[1:] != owner[:-1])[: owner.size]
    until = np.sort(end)
    # The latest end of an owner's by then: ranks are in one order with the owners before them, which times are not.
    begin = (np.cumsum(is_first) - 1) * end.size
    latest = until[np.maximum.accumulate(begin + np.searchsorted(until, end)) - begin]
    since = np.where(is_first, start, np.maximum(start, np.roll(latest, 1)))
    fresh = np.maximum(end - since, 0)
    first = np.flatnonzero(is_first)
    spent = np.add.reduceat(fresh, first) if first.size else fresh
    return pl.DataFrame({"owner": owner[first], "covered_ns": spent})


def covered_within(start: Nanos, end: Nanos, since: Nanos, until: Nanos) -> Nanos:
    """Give how much of each stretch (from `since` to `until`) some intervals cover; what several cover counts once."""
    order = np.argsort(start, kind="stable")
    begin, latest = start[order], np.maximum.accumulate(end[order])
    if begin.size == 0:
        return np.zeros(since.size, dtype=np.int64)
    # From where the ones before have ended, at the earliest.
    begin = np.maximum(begin, np.concatenate([begin[:1], latest[:-1]]))
    length = np.maximum(latest - begin, 0)
    before = np.concatenate([[0], np.cumsum(length)])

    def until_time(time: Nanos) -> Nanos:
        last = np.searchsorted(begin, time, side="right") - 1
        inside = np.clip(time - begin[last], 0, length[last])
        return np.where(last >= 0, before[np.maximum(last, 0)] + inside, 0)

    return until_time(np.maximum(until, since)) - until_time(since)
