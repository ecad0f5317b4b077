"""How the walk comes from one span to another, as numbers in arrays."""

import numpy as np
import numpy.typing as npt

from raytrace_analyze.vocabulary.paths import Via

Codes = npt.NDArray[np.int8]

VIAS = tuple(Via)
"""A way's number in arrays is its position here; -1 is none."""
_NUMBERS = {via: number for number, via in enumerate(VIAS)}


def code(via: Via) -> int:
    """Give the number of a way."""
    return _NUMBERS[via]
