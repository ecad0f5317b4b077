"""A replica of Ray Serve that is slower than the others of its deployment."""

import polars as pl

from raytrace_analyze.analyses.libraries.slow_ones import slow_ones


def slow_replicas(requests: pl.DataFrame, group: tuple[str, ...]) -> pl.DataFrame:
    """Find in each group of requests (columns of `find_requests`) the replica whose handler is slow beside the others'.

    Gives, beside the columns of `group`, `slow_replica` (Serve's id), `slow_replica_requests`, and the medians of the
    handler's own time: `slow_replica_handler_ns`, and `other_replicas_handler_ns` of all other replicas' requests. A
    group of which none is slow, or where that cannot be told, has no row.
    """
    known = requests.filter(pl.col("replica").is_not_null(), pl.col("handler_ns").is_not_null())
    return slow_ones(known, group, "replica", "handler_ns").select(
        *group,
        slow_replica="slow",
        slow_replica_requests="count",
        slow_replica_handler_ns="own_ns",
        other_replicas_handler_ns="others_ns",
    )
