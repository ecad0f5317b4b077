"""Is a difference between two groups of runs more than what runs of one group differ by?

With enough runs by permutation: were it mere chance which run belongs to which group, how often would the groups
lie as far apart? All ways to deal the runs out are tried where they are few, else ten thousand drawn with a fixed
seed. Where there are too few runs for that to tell anything, Student's t test. Both compare means, against the
variance within the groups; a run that went wrong widens that, so that it makes noise and no false alarm.
"""

from functools import cached_property
from itertools import combinations
from math import comb, pi, sqrt

import numpy as np
import numpy.typing as npt

ALPHA = 0.05
"""From which probability of mere chance on a difference is called noise."""

_RELABELINGS = 10_000
_SEED = 20_261_123
_BLOCK = 1_000
_CLOSE = 1e-9
"""Shares of variance that differ by less are the same."""

Floats = npt.NDArray[np.float64]


class Significance:
    """The test that fits two groups of so many runs."""

    def __init__(self, base_runs: int, new_runs: int) -> None:
        self._base, self._new = base_runs, new_runs
        ways = comb(base_runs + new_runs, new_runs)
        # Groups of one size can be swapped as a whole: that is as far apart.
        best = (2 if base_runs == new_runs else 1) / ways
        self._permutes = best <= ALPHA
        self._is_exact = ways <= _RELABELINGS
        self.is_possible = base_runs + new_runs > 2
        """Whether there is a group with more than one run: without, nothing is known of the spread."""
        if not self.is_possible:
            self.name = "none"
        elif not self._permutes:
            self.name = "Student's t test"
        elif self._is_exact:
            self.name = f"permutation test, all {ways:,} relabelings"
        else:
            self.name = f"permutation test, {_RELABELINGS:,} relabelings"

    def p_values(self, values: Floats) -> list[float | None]:
        """Give for each row of `values` (first the runs of BASE, then those of NEW) the probability of mere chance.

        Of several rows that did not change, one is called changed with a probability of ALPHA at most: each
        is compared with the row that comes out furthest, in every relabeling (for the t test: Bonferroni).
        """
        if not self.is_possible:
            return [None] * len(values)
        varying = np.flatnonzero(np.ptp(values, axis=1) > 0)
        found: list[float | None] = [1.0] * len(values)
        if varying.size:
            adjusted = self._adjusted(values[varying])
            for row, p_value in zip(varying.tolist(), adjusted.tolist(), strict=True):
                found[row] = p_value
        return found

    def _adjusted(self, values: Floats) -> Floats:
        centred = values - values.mean(axis=1, keepdims=True)
        # Variance as a share of the whole does not depend on the unit, and squares of ns would lose digits.
        centred /= np.abs(centred).max(axis=1, keepdims=True)
        observed = self._explained(centred, _membership(self._base, self._new)[None, :])[:, 0]
        if not self._permutes:
            freedom = self._base + self._new - 2
            return np.minimum([len(values) * _t_tail(float(share), freedom) for share in observed], 1.0)
        as_far = np.zeros(len(values))
        for first in range(0, len(self._relabelings), _BLOCK):
            furthest = self._explained(centred, self._relabelings[first : first + _BLOCK]).max(axis=0)
            as_far += (furthest[None, :] >= observed[:, None] - _CLOSE).sum(axis=1)
        return as_far / len(self._relabelings)

    def _explained(self, centred: Floats, labels: npt.NDArray[np.bool_]) -> Floats:
        """Give the share of each row's variance that each relabeling explains; the greater, the further apart."""
        sums = centred @ labels.T.astype(np.float64)
        between = sums**2 * (1 / self._base + 1 / self._new)
        return np.asarray(between / (centred**2).sum(axis=1, keepdims=True))

    @cached_property
    def _relabelings(self) -> npt.NDArray[np.bool_]:
        """All ways, or a sample of them, to say which runs are NEW; a row each, the true one among them."""
        true = _membership(self._base, self._new)
        if self._is_exact:
            chosen = np.array(list(combinations(range(true.size), self._new)))
            every = np.zeros((len(chosen), true.size), dtype=np.bool_)
            np.put_along_axis(every, chosen, True, axis=1)
            return every
        drawn = np.random.default_rng(_SEED).permuted(np.tile(true, (_RELABELINGS, 1)), axis=1)
        drawn[0] = true
        return drawn


def _membership(base_runs: int, new_runs: int) -> npt.NDArray[np.bool_]:
    return np.arange(base_runs + new_runs) >= base_runs


def _t_tail(explained: float, freedom: int) -> float:
    """Give the two-sided tail of Student's t where the groups explain so much of the variance.

    The sums are exact for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4); the angle's
    sine is the root of what is explained.
    """
    sine, cosine_squared = sqrt(min(explained, 1.0)), max(1 - explained, 0.0)
    is_odd = freedom % 2
    term = sqrt(cosine_squared) if is_odd else 1.0
    total = 0.0
    for step in range(1, freedom // 2 + 1):
        total += term
        term *= cosine_squared * (2 * step / (2 * step + 1) if is_odd else (2 * step - 1) / (2 * step))
    if not is_odd:
        return max(1 - sine * total, 0.0)
    angle = float(np.arctan2(sine, sqrt(cosine_squared)))
    return max(1 - 2 / pi * (angle + sine * total), 0.0)
