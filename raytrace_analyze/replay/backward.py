"""The backward pass: how late everything could have been without moving the end of the job."""

import numpy as np

from raytrace_analyze.replay.graph import Graph, as_it_was
from raytrace_analyze.table.lineage import Rows

_FOREVER = 1 << 62


def latest_ends(graph: Graph, rows: Rows) -> Rows:
    """Give for runs (rows of the table) the latest time they could have ended at, in ns since the epoch.

    That is the end of the job for those that nobody waited for. Who got whose slot is taken to stay as it was.
    """
    graph = as_it_was(graph)
    points = graph.points
    late = _late(graph)
    allowed = np.full(points.time.size, graph.end_ns, dtype=np.int64)
    np.minimum.at(allowed, graph.source, (late - graph.lag)[graph.target])
    ended = points.end_of[rows]
    return np.maximum(np.minimum(allowed[ended], graph.end_ns), points.time[ended])


def _late(graph: Graph) -> Rows:
    """Give by piece how late it could have begun."""
    points = graph.points
    offset = points.time - graph.began[graph.piece]
    late = [_FOREVER] * graph.first.size
    end = graph.horizon
    late[int(graph.piece[end])] = int(points.time[end] - offset[end])
    causes = graph.piece[graph.source]
    behind = offset[graph.source] + graph.lag[graph.target]
    for cause, piece, gap in zip(
        causes[::-1].tolist(), graph.target[::-1].tolist(), behind[::-1].tolist(), strict=True
    ):
        time = late[piece] - gap
        if time < late[cause]:
            late[cause] = time
    return np.array(late)
