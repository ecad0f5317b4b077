"""What states of the walk book and lead to, as columns: one element a state."""

from dataclasses import dataclass, fields

import numpy as np

from raytrace_analyze.path.walk.via import Codes
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.vocabulary.paths import Category

CATEGORIES = tuple(Category)
"""A category's number in arrays is its position here."""
SELF, SUBMIT, QUEUE, WAIT, FETCH = range(5)


# Made anew for every step, and a value takes longer to make.
@dataclass(eq=False, repr=False)
class Visited:
    """What states book: parallel arrays, one element a state. Times are ns since the epoch."""

    row: RowIds
    time: Nanos
    down: Nanos
    """The segment of the state's own span begins here and ends at `time`; there is none if it would be negative."""
    category: Codes
    blocker: RowIds
    """The run outside the scope that the span waited for, -1 otherwise."""
    queue_from: Nanos
    """Where a run's queue segment begins; it ends where the run's own begins. Equals its end for other spans."""
    queue_blocker: RowIds
    via: Codes
    """How the walk comes to the next state."""

    def __getitem__(self, chosen: RowIds | Flags | slice) -> "Visited":
        return Visited(*(getattr(self, column.name)[chosen] for column in fields(Visited)))

    @staticmethod
    def scatter(parts: "list[Visited]", places: list[RowIds]) -> "Visited":
        """Put several together, each element in its place."""
        size = sum(place.size for place in places)

        def times() -> Nanos:
            return np.empty(size, dtype=np.int64)

        def codes() -> Codes:
            return np.empty(size, dtype=np.int8)

        whole = Visited(times(), times(), times(), codes(), times(), times(), times(), codes())
        for part, place in zip(parts, places, strict=True):
            for column in fields(Visited):
                getattr(whole, column.name)[place] = getattr(part, column.name)
        return whole


@dataclass(eq=False, repr=False)
class Hops(Visited):
    """What states book and lead to."""

    next_row: RowIds
    """The span of the next state; -1 where the walk ends."""
    next_time: Nanos

    @staticmethod
    def begin(row: RowIds, time: Nanos) -> "Hops":
        """Give the states with nothing found yet: no segments, no next states."""
        times, rows = np.empty((3, row.size), dtype=np.int64), np.empty((3, row.size), dtype=np.int64)
        times[:], rows[:] = time, -1
        codes = np.zeros((2, row.size), dtype=np.int8)
        codes[1] = -1
        down, queue_from, next_time = times
        blocker, queue_blocker, next_row = rows
        return Hops(row, time, down, codes[0], blocker, queue_from, queue_blocker, codes[1], next_row, next_time)
