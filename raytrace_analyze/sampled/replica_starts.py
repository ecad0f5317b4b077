"""What `serve.run` waits for: it asks Serve's controller again and again until the replicas that it needs are ready.

No call on the controller changes its answer: a replica does, when it has set up the deployment's class.
"""

import numpy as np

from raytrace_analyze.table.lineage import RowIds, flags
from raytrace_analyze.trace.asof import latest_until, members_at
from raytrace_analyze.trace.groups import group_by_time
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

_ASKS = r"(^|\.)ServeController\.get_serve_status$"
_DEPLOYS = r"(^|\.)ServeController\.deploy_applications$"
_READY = r"(^|\.)ServeReplica:.*\.initialize_and_get_metadata$"


@frozen
class Starts:
    """Loops that ended with a replica: positions in the questions, and rows of runs; parallel arrays."""

    first: RowIds
    in_vain: RowIds
    """The last question that was asked before the replica was ready."""
    ready: RowIds
    """The run with which the last of the replicas was ready."""


def find_replica_starts(structure: Structure, run: RowIds, flow: RowIds) -> Starts:
    """Find which replica ended loops of questions.

    `run` and `flow` are those of the questions, which are sorted by flow and time. A loop is all that a flow asks from
    one deployment to the next; it is over with its last question.
    """
    function = structure.spans.get_column("function")
    asked = np.flatnonzero(flags(function.gather(run).str.contains(_ASKS)))
    if asked.size == 0:  # Serve is not there
        return Starts(asked, asked, asked)
    ready = np.flatnonzero(structure.is_run & flags(function.str.contains(_READY)) & ~structure.in_flight)
    if ready.size == 0:
        return Starts(ready, ready, ready)
    start, end = structure.start[run[asked]], structure.end[run[asked]]
    session = structure.spans.get_column("session").fill_null("").rank("dense").to_numpy().astype(np.int64)
    sessions = int(session.max()) + 1
    deploys = np.flatnonzero(structure.is_submit & flags(function.str.contains(_DEPLOYS)))
    deployed = group_by_time(session[deploys], sessions, deploys, structure.start[deploys])
    begun = latest_until(deployed, session[run[asked]], start)
    is_first = np.ones(asked.size, dtype=np.bool_)
    is_first[1:] = (flow[asked[1:]] != flow[asked[:-1]]) | (begun[1:] != begun[:-1])
    loop = np.cumsum(is_first) - 1
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], asked.size) - 1
    by_end = group_by_time(session[ready], sessions, ready, structure.end[ready])
    made = members_at(by_end, latest_until(by_end, session[run[asked[last]]], end[last]))
    came = (made >= 0) & (structure.end[made] > start[first])
    # The last question before the replica was ready, if another one came after it.
    before = np.full(first.size, -1, dtype=np.int64)
    early = np.flatnonzero(start < structure.end[made][loop])
    np.maximum.at(before, loop[early], early)
    kept = np.flatnonzero(came & (before >= 0) & (before < last))
    return Starts(asked[first[kept]], asked[before[kept]], made[kept])
