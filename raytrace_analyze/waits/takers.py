"""Who let a generator go on that was held back: its consumer, as it took the next item.

Ray lets a generator be only so many items ahead (`_generator_backpressure_num_objects`); our hook records how long it
was held back as a wait of its run.
"""

import numpy as np

from raytrace_analyze.names.spans import BACK_PRESSURE, NEXT
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.ancestors import first_above
from raytrace_analyze.trace.asof import NEVER, latest_until, members_at
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.groups import Timed, group_by_time, positions
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen


@frozen
class Takers:
    """Finds who took the items that generators were held back for."""

    take: RowIds
    """By row, of waits of generators that were held back: the consumer's last wait for an item of theirs that began
    before that was over, else its first one; -1 for other spans, and where nobody is known to take items."""
    began: Nanos
    """By row: when that wait began, if the generator was held back already."""

    def find(self, scoped: Scoped, held: RowIds, until: Nanos) -> tuple[RowIds, Nanos]:
        """Give for generators that were held back until a time the span in which its consumer was then, and when.

        That is before the time, and where the consumer's wait for the item was recorded, when it began. -1 where the
        consumer is not known, or is in another scope.
        """
        take = self.take[held]
        time = np.minimum(np.maximum(self.began[held], scoped.start[held]), until - 1)
        time = np.where(self.began[held] == NEVER, until - 1, time)
        known = (take >= 0) & (scoped.scope_of[take] == scoped.scope_of[held]) & ~scoped.detached[take]
        above = scoped.parent.copy()
        above[: scoped.span_count][scoped.structure.is_run] = -1
        row = first_above(above, scoped.end, np.where(known, scoped.parent[take], -1), time)
        return np.where((row >= 0) & (scoped.start[row] < time), row, -1), time


def find_takers(runs: Runs) -> Takers | None:
    """Read who took the items of generators; None where none was held back."""
    structure = runs.structure
    waits = positions(runs.is_wait & ~structure.is_run)
    name = structure.spans.get_column("name").gather(waits)
    held = waits[(name == BACK_PRESSURE).to_numpy()]
    held = held[structure.run_above[held] >= 0]
    if held.size == 0:
        return None
    is_take = np.zeros(structure.start.size, dtype=np.bool_)
    is_take[waits[(name == NEXT).to_numpy()]] = True
    wait = np.repeat(np.arange(structure.start.size), np.diff(runs.ready.first))
    of_take = positions(is_take[wait])
    takes = wait[of_take]
    by_run: Timed = group_by_time(
        runs.ready.members[of_take], structure.start.size, takes, structure.start[takes], structure.id_ranks(takes)
    )
    run, end = structure.run_above[held], structure.end[held]
    last = members_at(by_run, latest_until(by_run, run, end - 1))
    during = (last >= 0) & (structure.start[last] >= structure.start[held])
    has_any = by_run.first[run + 1] > by_run.first[run]
    first = np.where(has_any, by_run.first[run], -1)
    take = np.full(structure.start.size, -1, dtype=np.int64)
    take[held] = np.where(last >= 0, last, members_at(by_run, first))
    began = np.full(structure.start.size, NEVER, dtype=np.int64)
    began[held[during]] = structure.start[last[during]]
    return Takers(take, began)
