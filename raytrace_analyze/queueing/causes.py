"""Why a run can have waited before it started: the causes, and questions and answers about them as arrays."""

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import Category
from raytrace_analyze.vocabulary.queues import Cause

CAUSES = tuple(Cause)
"""A cause's number in arrays is its position here."""

COLD = (Cause.WORKER_START, Cause.FUNCTION_LOAD)
"""What a run waits for that is the first of its process, or of its function there: a first run alone pays it."""

Codes = npt.NDArray[np.int8]


def is_cold() -> pl.Expr:
    """Tell which segments of a path (columns of `SEGMENTS`) a first run alone pays."""
    return pl.col("category").is_in([str(Category.QUEUE), str(Category.FETCH)]) & pl.col("cause").is_in(
        [*map(str, COLD), str(Cause.SLOT_START)]
    )


@frozen
class QueueIntervals:
    """Questions: why did these runs wait, from when until when? Parallel arrays."""

    run: RowIds
    since: Nanos
    until: Nanos

    def __getitem__(self, chosen: RowIds | Flags) -> "QueueIntervals":
        return QueueIntervals(self.run[chosen], self.since[chosen], self.until[chosen])


@frozen
class CauseBound:
    """A rule's answer to each question: up to `time` it was `cause`, and `blocked_by` (a run, or -1) ended it."""

    cause: Codes
    time: Nanos
    blocked_by: RowIds
