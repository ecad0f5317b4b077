"""Calls of an actor as they stand in its queue: whoever is ready first gets the next turn that comes free.

In what order calls had their turns is what was observed, not what has to be: where several callers share an actor, a
faster one gets its turn sooner. As with slots, turns are given out as the job is played; where that does not explain
what was observed, the order stays as it was.
"""

import numpy as np

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.values import frozen


@frozen
class Lanes:
    """Who waits for turns on actors: parallel arrays, one element a call, but where it says so."""

    run: RowIds
    lane: RowIds
    """The number of the lane, from 0 on."""
    limit: RowIds
    """By lane: how many may have their turn at a time."""
    lag: Nanos
    """From when a call had its turn to its start (ns)."""
    put_back: Nanos
    """How much later (ns) than it became ready a call stands in the queue."""

    def without(self, runs: RowIds) -> "Lanes | None":
        """Give those of other calls than these; None for none."""
        kept = ~np.isin(self.run, runs)
        if not kept.any():
            return None
        return Lanes(self.run[kept], self.lane[kept], self.limit, self.lag[kept], self.put_back[kept])
