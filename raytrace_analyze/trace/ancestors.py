"""Climbing a forest for many rows at once: the nearest ancestor that lasted long enough."""

import numpy as np

from raytrace_analyze.table.lineage import RowIds

_STEPS_ONE_BY_ONE = 8
"""Few rows climb farther than that; for those that do, longer steps pay."""


def first_above(parent: RowIds, key: RowIds, begin: RowIds, least: RowIds) -> RowIds:
    """Give, of each row of `begin` and its ancestors, the nearest with a `key` of at least `least`, -1 for none.

    `parent` and `key` have one element a row; a parent of -1, or one beyond the last row, is none. `parent` must be
    free of circles. `begin` (-1: nowhere) and `least` are parallel. Takes time in proportion to the logarithm of the
    depth.
    """
    above = np.where(parent < parent.size, parent, -1)
    at = np.where(begin < parent.size, begin, -1)
    for _ in range(_STEPS_ONE_BY_ONE):
        low = np.flatnonzero(_falls_short(key, at, least))
        if low.size == 0:
            return at
        at[low] = above[at[low]]
    low = np.flatnonzero(_falls_short(key, at, least))
    at[low] = _leap(above, key, at[low], least[low])
    return at


def _falls_short(key: RowIds, at: RowIds, least: RowIds) -> RowIds:
    return np.asarray((at >= 0) & (key[at] < least))


def _leap(above: RowIds, key: RowIds, at: RowIds, least: RowIds) -> RowIds:
    """Climb by powers of two: with the greatest key of the next 1, 2, 4, ... rows, the longest steps first."""
    jumps, greatest = [above], [key]
    while (jumps[-1] >= 0).any():
        jump, best = jumps[-1], greatest[-1]
        inside = jump >= 0
        greatest.append(np.where(inside, np.maximum(best, best[jump]), best))
        jumps.append(np.where(inside, jump[jump], -1))
    at = at.copy()
    for jump, best in zip(reversed(jumps), reversed(greatest), strict=True):
        low = _falls_short(best, at, least)
        at = np.where(low, jump[at], at)
    return at
