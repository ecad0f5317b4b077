"""A replica of Ray Serve that is slower than the others of its deployment."""

import polars as pl

_SLOWER = 1.5
"""From how many times the others' median on a replica is slow."""
_LEAST_NS = 10_000_000
"""What is less slow than that beyond the others is no difference that a user would look for."""
_FEWEST = 3
"""So many requests of a replica, and of the others, are needed to tell."""

_HANDLER = "handler_ns"
_OWN, _OTHERS = "slow_replica_handler_ns", "other_replicas_handler_ns"


def slow_replicas(requests: pl.DataFrame, group: tuple[str, ...]) -> pl.DataFrame:
    """Find in each group of requests (columns of `find_requests`) the replica whose handler is slow beside the others'.

    Gives, beside the columns of `group`, `slow_replica` (Serve's id), `slow_replica_requests`, and the medians of the
    handler's own time: `slow_replica_handler_ns`, and `other_replicas_handler_ns` of all other replicas' requests. A
    group of which none is slow, or where that cannot be told, has no row.
    """
    known = requests.filter(pl.col("replica").is_not_null(), pl.col(_HANDLER).is_not_null()).select(
        *group, "replica", _HANDLER
    )
    keys = [*group, "replica"]
    own = known.group_by(keys).agg(requests=pl.len(), own=pl.col(_HANDLER).median())
    # Only the slowest of a group can be slow beside all others.
    slowest = own.sort("own", "replica", descending=[True, False]).unique(list(group), keep="first")
    others = (
        known.join(slowest.select(keys), on=keys, how="anti", nulls_equal=True)
        .group_by(group)
        .agg(others=pl.len(), other=pl.col(_HANDLER).median())
    )
    apart = pl.col("own") - pl.col("other")
    return (
        slowest.join(others, on=list(group), nulls_equal=True)
        .filter(pl.col("requests") >= _FEWEST, pl.col("others") >= _FEWEST)
        .filter(pl.col("own") >= _SLOWER * pl.col("other"), apart >= _LEAST_NS)
        .select(
            *group,
            slow_replica="replica",
            slow_replica_requests=pl.col("requests").cast(pl.Int64),
            **{_OWN: pl.col("own").round().cast(pl.Int64), _OTHERS: pl.col("other").round().cast(pl.Int64)},
        )
    )
