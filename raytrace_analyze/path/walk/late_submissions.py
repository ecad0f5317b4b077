"""Submissions that lie after the end of the span they are in: of what an asynchronous method left running behind.

Ray Serve's controller creates all its replicas so. Nobody knows what made it, so the walk goes on in the driver, in
what that was doing then.
"""

import numpy as np

from raytrace_analyze.path.walk.open_spans import OpenSpans
from raytrace_analyze.path.walk.predecessors import Asked, Found, Origins
from raytrace_analyze.path.walk.via import code
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import Via

_BEFORE = [code(via) for via in (Via.DEPENDENCY, Via.ATTEMPT, Via.CREATION)]


@frozen
class LateSubmissions:
    """Finds where the walk goes on from runs that were submitted so."""

    _is_late: Flags
    """Of rows."""
    _made: Nanos
    """When each row's submission was made."""
    _driver: RowIds
    """By scope: its driver, or its virtual root where it has none."""
    _scoped: Scoped
    _open: OpenSpans | None

    def look_again(self, origins: Origins, found: Found, asked: Asked) -> Nanos:
        """Put into `found` what let runs start that were submitted so, and give since when each of all runs waited.

        What made the actor, or gave the arguments, may have ended before the submission was made: whoever made that may
        have looked for it. Nobody waited for a slot before.
        """
        late = np.flatnonzero(self._is_late[asked.submit])
        since = asked.since.copy()
        if late.size == 0:
            return since
        some = asked[late]
        # Strictly earlier, whatever the clocks say: so the walk ends.
        since[late] = some.since = np.minimum(self._made[some.submit], some.until - 1)
        again = origins.find(some.run, some.submit, some.since, some.until)
        is_new = (again.row >= 0) | ~np.isin(found.via[late], _BEFORE)
        for before, after in ((found.row, again.row), (found.time, again.time), (found.via, again.via)):
            before[late[is_new]] = after[is_new]
        return since

    def maker(self, submit: RowIds, time: Nanos) -> RowIds:
        """Give the span in which the walk goes on at some times: that of the submission, unless it is late."""
        found = submit.copy()
        late = np.flatnonzero(self._is_late[submit])
        scope, at = self._scoped.scope_of[submit[late]], time[late]
        driver = self._driver[scope]
        is_there = (self._scoped.start[driver] < at) & (at <= self._scoped.end[driver])
        row = np.where(is_there, driver, self._scoped.span_count + scope)
        found[late] = row if self._open is None else self._open.innermost(row, at)
        return found


def find_late_submissions(scoped: Scoped, open_spans: OpenSpans | None) -> LateSubmissions | None:
    """Look for them; None where there are none."""
    structure, count = scoped.structure, scoped.span_count
    is_late = late_submissions(scoped)
    if not is_late.any():
        return None
    driver = np.arange(count, scoped.start.size)
    is_driver = (structure.spans.get_column("category") == "driver").to_numpy()
    rows = np.flatnonzero(is_driver & (scoped.scope_of[:count] >= 0))
    rows = rows[np.lexsort((structure.id_ranks(rows), scoped.end[rows]))]
    driver[scoped.scope_of[rows]] = rows
    return LateSubmissions(is_late, structure.start, driver, scoped, open_spans)


def late_submissions(scoped: Scoped) -> Flags:
    """Tell them by row."""
    structure, count = scoped.structure, scoped.span_count
    end = scoped.end[:count]
    is_late: Flags = scoped.detached[:count] & structure.is_submit & (structure.start >= end) & (structure.end > end)
    return is_late
