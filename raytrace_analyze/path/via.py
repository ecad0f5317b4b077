"""How the walk came to a segment's span."""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int8]


class Via(StrEnum):
    """How the walk came to a segment's span."""

    JOIN = "join"
    WAIT = "wait"
    DEPENDENCY = "dependency"
    ATTEMPT = "attempt"
    CREATION = "creation"
    SUBMIT = "submit"
    ACTOR = "actor"
    SLOT = "slot"
    INFERRED = "inferred"


VIAS = tuple(Via)
"""A way's number in arrays is its position here; -1 is none."""


def code(via: Via) -> int:
    """Give the number of a way."""
    return VIAS.index(via)
