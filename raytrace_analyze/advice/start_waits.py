"""Why a job's runs waited before they started, and how long for each cause."""

import numpy as np

from raytrace_analyze.queueing.causes import CAUSES
from raytrace_analyze.queueing.split import Pieces
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.queues import Cause


@frozen
class StartWaits:
    """The waits before runs, split by cause."""

    runs: RowIds
    """The runs that were submitted (rows)."""
    pieces: Pieces
    """What each of them waited for."""
    height: int
    """How many rows the span table has."""

    def ns_for(self, *causes: Cause, for_no_run: bool = False) -> Nanos:
        """By row of a run: how long it waited to start for these causes; only where no other run ended that, if so."""
        found = np.zeros(self.height, dtype=np.int64)
        pieces, chosen = self.pieces, self._for(causes)
        if for_no_run:
            chosen &= pieces.blocked_by < 0
        np.add.at(found, self.runs[pieces.wait[chosen]], (pieces.end - pieces.start)[chosen])
        return found

    def pieces_for(self, *causes: Cause) -> tuple[RowIds, Nanos, Nanos]:
        """Give the pieces of the waits that were for these causes: the run, since when, until when."""
        pieces, chosen = self.pieces, self._for(causes)
        return self.runs[pieces.wait[chosen]], pieces.start[chosen], pieces.end[chosen]

    def _for(self, causes: tuple[Cause, ...]) -> Flags:
        return np.isin(self.pieces.cause, [CAUSES.index(cause) for cause in causes])
