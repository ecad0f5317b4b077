"""Systems of difference constraints: unknowns of which only "x is at most so much more than y" is known.

A matrix holds one such statement an element: `most[i, j]` is the most that `x[i] - x[j]` can be, inf where nothing
is said. Unknowns come in order of importance: where they contradict each other, the later one is left out.
"""

import numpy as np
import numpy.typing as npt

from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.values import frozen

Floats = npt.NDArray[np.float64]


@frozen
class Closed:
    """A system without contradictions, and all that follows from it."""

    kept: RowIds
    """The unknowns that are in it, in their order."""
    most: Floats
    """Among these, the most that follows for every difference; 0 on the diagonal."""


def close(most: Floats) -> Closed:
    """Find what follows from a system, taking in one unknown after the other.

    An unknown that contradicts those taken in before is left out. Costs a matrix operation an unknown that brings
    others closer together, and next to nothing for one that does not, as for all hosts around one driver.
    """
    kept = np.empty(len(most), dtype=np.int64)
    closed = np.zeros_like(most)
    size = 0
    for new in range(len(most)):
        known = closed[:size, :size]
        to_known, from_known = most[new, kept[:size]], most[kept[:size], new]
        over, under = np.flatnonzero(np.isfinite(to_known)), np.flatnonzero(np.isfinite(from_known))
        row = (to_known[over, None] + known[over]).min(axis=0, initial=np.inf)
        column = (known[:, under] + from_known[under]).min(axis=1, initial=np.inf)
        if (row[under] + from_known[under]).min(initial=0.0) < 0:
            continue
        # What is closed comes closer only where two neighbours do.
        if (from_known[under, None] + to_known[over] < known[np.ix_(under, over)]).any():
            np.minimum(known, column[:, None] + row, out=known)
        closed[size, :size], closed[:size, size], kept[size] = row, column, new
        size += 1
    return Closed(kept[:size], closed[:size, :size])


class _Intervals:
    """What each unknown can still be, once some have been settled."""

    def __init__(self, most: Floats) -> None:
        self.most = most
        self.low = np.full(len(most), -np.inf)
        self.high = np.full(len(most), np.inf)

    def settle(self, unknown: int, value: float) -> None:
        np.maximum(self.low, value - self.most[unknown], out=self.low)
        np.minimum(self.high, value + self.most[:, unknown], out=self.high)

    def holds(self, unknown: int, value: float) -> bool:
        return bool(self.low[unknown] <= value <= self.high[unknown])

    def middle(self, unknown: int) -> float:
        """Give the middle of what is possible; with one end open, the end that there is."""
        low, high = float(self.low[unknown]), float(self.high[unknown])
        if np.isinf(low) or np.isinf(high):
            return high if np.isinf(low) else low
        return float(np.floor((low + high) / 2))


def settle(most: Floats, expected: Floats | None) -> Floats:
    """Give each unknown of a closed system a value, as many as possible 0; the first one always.

    Those that cannot be 0 get the middle of what `most` allows, given the others, and of what `expected` (stricter,
    closed as well; what is likely, but not certain) allows where that leaves anything.
    """
    possible, likely = _Intervals(most), _Intervals(most if expected is None else expected)
    values = np.zeros(len(most))
    clashes = (most < 0).sum(axis=0) + (most < 0).sum(axis=1)
    clashes[:1] = -1
    moved = []
    for unknown in np.argsort(clashes, kind="stable").tolist():
        if possible.holds(unknown, 0.0):
            possible.settle(unknown, 0.0)
            likely.settle(unknown, 0.0)
        else:
            moved.append(unknown)
    for unknown in sorted(moved):
        is_likely = likely.low[unknown] <= likely.high[unknown]
        values[unknown] = (likely if is_likely else possible).middle(unknown)
        possible.settle(unknown, values[unknown])
        likely.settle(unknown, values[unknown])
    return values
