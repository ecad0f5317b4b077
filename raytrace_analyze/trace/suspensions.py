"""Where asynchronous methods were suspended: the awaits of runs on actors."""

import numpy as np

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.groups import positions
from raytrace_analyze.trace.relations import Runs

SUSPENSION = "await"
"""The name of the spans in which methods are suspended."""


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
