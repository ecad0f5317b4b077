"""Where asynchronous methods were suspended: the awaits of runs on actors."""

import numpy as np

from raytrace_analyze.attributes import AWAITED, LOOPS, told
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.groups import positions
from raytrace_analyze.trace.relations import Runs

SUSPENSION = "await"
"""The name of the spans in which methods are suspended."""
TIMERS = ("asyncio.sleep",)
"""What nobody has to wake."""


def stands_for_work(runs: Runs) -> Flags:
    """Tell by row the suspensions that are sleeps of the method's own: timers in no loop that can end any time."""
    structure = runs.structure
    found = np.zeros(structure.start.size, dtype=np.bool_)
    suspensions, _, _ = find_suspensions(runs)
    attributes = structure.spans.get_column("attributes").gather(suspensions)
    maybe = flags(attributes.str.contains(LOOPS, literal=True))
    suspensions, attributes = suspensions[maybe], attributes.filter(maybe)
    is_work = flags(told(attributes, AWAITED).is_in(TIMERS)) & flags(told(attributes, LOOPS) == "false")
    found[suspensions[is_work]] = True
    return found


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
