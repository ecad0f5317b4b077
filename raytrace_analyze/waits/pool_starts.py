"""Actors of a pool of Ray Data that are there: who looks for tasks hears of it, and has not waited for it."""

import numpy as np

from raytrace_analyze.names.functions import MAP_WORKER, POOL_ACTOR_READY
from raytrace_analyze.table.lineage import Flags, RowIds, flags
from raytrace_analyze.trace.groups import positions
from raytrace_analyze.trace.relations import Runs


def only_heard_of(runs: Runs, wait: RowIds, run: RowIds) -> Flags:
    """Tell pairs of a wait and a run that came back from it where the run only says that an actor of a pool is there.

    Ray Data's executor asks for that together with the results that it waits for: what is to run on the actor waits for
    it by itself. Where nothing else came back, and it was not there before, it waited for the actor.
    """
    on_actor = positions(runs.actor[run] >= 0)
    functions = runs.structure.spans.get_column("function").gather(run[on_actor])
    of_pool = on_actor[flags(functions.str.starts_with(MAP_WORKER))]
    is_start = np.zeros(run.size, dtype=np.bool_)
    if of_pool.size:
        functions = runs.structure.spans.get_column("function").gather(run[of_pool])
        is_start[of_pool] = flags(functions.str.contains(POOL_ACTOR_READY))
        was_there = runs.structure.end[run] <= runs.structure.start[wait]
        is_start &= was_there | np.isin(wait, wait[~is_start])
    return is_start
