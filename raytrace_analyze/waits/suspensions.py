"""Where asynchronous methods were suspended: the awaits of runs on actors."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED, LOOPS, SAMPLED_TIMES, told
from raytrace_analyze.names.awaited import COMPILED_GRAPH, FUTURE, SLEEP
from raytrace_analyze.names.spans import SUSPENSION
from raytrace_analyze.sampled.takes import of_queues
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import NEVER, latest_until, times_at
from raytrace_analyze.trace.groups import group_by_time, positions
from raytrace_analyze.trace.relations import Runs

_FOR_OTHERS = ("Event", "Condition", "Lock", "Semaphore", "BoundedSemaphore", "Queue", "PriorityQueue", "LifoQueue")
"""Of asyncio: what somebody else has to let go on."""
_OF_ASYNCIO = r"^asyncio\.(?:\w+\.)?(\w+)\.\w+$"


def own_time(runs: Runs, is_let_go: Flags) -> Flags:
    """Tell by row the suspensions that stand for work of the method, as far as it is known.

    That is a timer in no loop that can end any time, and what it awaits that is nobody else's: coroutines of its own, a
    thread, a library. `is_let_go` tells by row the suspensions that another run ended.
    """
    structure = runs.structure
    found = np.zeros(structure.start.size, dtype=np.bool_)
    suspensions, _, _ = find_suspensions(runs)
    rows = structure.spans.select("ready_task_ids", "attributes")[suspensions]
    is_none = flags(rows.get_column("ready_task_ids").list.len() == 0)
    is_none &= ~(structure.in_flight[suspensions] | is_let_go[suspensions])
    suspensions, attributes = suspensions[is_none], rows.get_column("attributes").filter(is_none)
    awaited = told(attributes, AWAITED)
    is_timer = flags(awaited == SLEEP)
    is_others = flags(awaited.str.extract(_OF_ASYNCIO).is_in(_FOR_OTHERS))
    is_others |= flags(awaited.str.starts_with(COMPILED_GRAPH))
    is_others |= flags(told(attributes, SAMPLED_TIMES) == "true") | flags(awaited.is_null())
    counts = is_timer & flags(told(attributes, LOOPS) == "false")
    counts[is_timer] |= _with_items(runs, suspensions[is_timer])
    found[suspensions[np.where(is_timer, counts, ~is_others)]] = True
    return found


def _with_items(runs: Runs, timers: RowIds) -> Flags:
    """Tell the timers that a method awaits from one item of a queue, which it takes, to the next.

    It does something with each, whatever way out its loop has.
    """
    structure = runs.structure
    if timers.size == 0:
        return np.zeros(0, dtype=np.bool_)
    waits = positions(runs.is_wait & ~structure.is_run)
    takes = waits[of_queues(structure, waits)]
    run, of_take = structure.run_above[timers], structure.run_above[takes]
    took = group_by_time(of_take, structure.start.size, takes, structure.end[takes])
    begun = group_by_time(run, structure.start.size, timers, structure.start[timers])
    before = times_at(begun, latest_until(begun, run, structure.start[timers] - 1))
    # The first one has only what was taken before it.
    last = times_at(took, latest_until(took, run, structure.start[timers]))
    found: Flags = (last > NEVER) & (last > before)
    return found


def let_go_by_others(awaited: pl.Series) -> pl.Series:
    """Tell what somebody else in the process has to let go on, by what is awaited: an event, a queue, a bare future."""
    return (awaited.str.extract(_OF_ASYNCIO).is_in(_FOR_OTHERS) | (awaited == FUTURE)).fill_null(value=False)


def find_suspensions(runs: Runs) -> tuple[RowIds, RowIds, Nanos]:
    """Give the suspensions of methods on actors, the runs that were suspended, and when (ns): parallel arrays."""
    structure = runs.structure
    waits = positions(runs.is_wait & ~structure.is_run)
    named = waits[(structure.spans.get_column("name").gather(waits) == SUSPENSION).to_numpy()]
    if named.size == 0:
        return named, named, named
    run = structure.run_above[named]
    named, run = named[run >= 0], run[run >= 0]
    named, run = named[runs.actor[run] >= 0], run[runs.actor[run] >= 0]
    return named, run, np.clip(structure.start[named], structure.start[run], structure.end[run])
