"""Calls of an actor, and tasks that ask for a resource besides CPUs, as they stand in the queue for it.

Whoever is ready first gets the next turn, or what it asks for of the resource, that comes free.

In what order calls had their turns is what was observed, not what has to be: where several callers share an actor, a
faster one gets its turn sooner. As with slots, turns are given out as the job is played; where that does not explain
what was observed, the order stays as it was.
"""

from dataclasses import replace

import numpy as np

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.values import frozen


@frozen
class Lanes:
    """Who waits for turns on actors, or for a resource: parallel arrays, one element a run, but where it says so."""

    run: RowIds
    lane: RowIds
    """The number of the lane, from 0 on."""
    capacity: RowIds
    """By lane: how much of it there is, in ten-thousandths of a turn, or of the resource."""
    amount: RowIds
    """How much of that each takes."""
    keeps: Nanos
    """How long each keeps it after its end (ns): until its results are stored."""
    lag: Nanos
    """From when a run had its turn to its start (ns)."""
    put_back: Nanos
    """How much later (ns) than it became ready a run stands in the queue."""

    def without(self, runs: RowIds) -> "Lanes | None":
        """Give those of other runs than these; None for none."""
        kept = ~np.isin(self.run, runs)
        if not kept.any():
            return None
        amount, keeps, lag, put_back = (each[kept] for each in (self.amount, self.keeps, self.lag, self.put_back))
        return Lanes(self.run[kept], self.lane[kept], self.capacity, amount, keeps, lag, put_back)

    def sooner(self, runs: RowIds, by_ns: Nanos) -> "Lanes":
        """Let some runs start so much sooner (ns, parallel to them) after they had their turn; at most at once."""
        order = np.argsort(runs, kind="stable")
        place = np.searchsorted(runs[order], self.run)
        place = np.minimum(place, max(runs.size - 1, 0))
        by = np.where(runs[order][place] == self.run, by_ns[order][place], 0) if runs.size else np.zeros_like(self.lag)
        return replace(self, lag=self.lag - np.clip(by, 0, self.lag))
