"""The backward pass: how late everything could have been without moving the end of the job."""

import numpy as np

from raytrace_analyze.replay.constraints import as_it_was
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.table.lineage import Nanos, RowIds

_FOREVER = 1 << 62


def latest_ends(graph: Graph, rows: RowIds) -> Nanos:
    """Give for runs (rows of the table) the latest time they could have ended at, in ns since the epoch.

    That is the end of the job for those that nobody waited for. Who got whose slot is taken to stay as it was.
    """
    graph = as_it_was(graph)
    events = graph.events
    late = _late(graph)
    allowed = np.full(events.time.size, graph.end_ns, dtype=np.int64)
    np.minimum.at(allowed, graph.source, (late - graph.lag)[graph.target])
    ended = events.end_of[rows]
    return np.maximum(np.minimum(allowed[ended], graph.end_ns), events.time[ended])


def _late(graph: Graph) -> RowIds:
    """Give by activity how late it could have begun."""
    events = graph.events
    offset = events.time - graph.began[graph.activity]
    late = [_FOREVER] * graph.first.size
    end = graph.horizon
    late[int(graph.activity[end])] = int(events.time[end] - offset[end])
    causes = graph.activity[graph.source]
    behind = offset[graph.source] + graph.lag[graph.target]
    for cause, activity, gap in zip(
        causes[::-1].tolist(), graph.target[::-1].tolist(), behind[::-1].tolist(), strict=True
    ):
        time = late[activity] - gap
        if time < late[cause]:
            late[cause] = time
    return np.array(late)
