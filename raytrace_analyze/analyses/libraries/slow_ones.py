"""One of several that do the same and is slower than the others: a replica of Ray Serve, an actor of Ray Data's."""

import polars as pl

SLOWER = 1.5
"""From how many times the others' median on one is slow."""
_LEAST_NS = 10_000_000
"""What is less slow than that beyond the others is no difference that a user would look for."""
FEWEST = 3
"""So many times on one, and on the others, are needed to tell."""


def slow_ones(known: pl.DataFrame, group: tuple[str, ...], which: str, took: str) -> pl.DataFrame:
    """Find in each group the one (`which`) on which it usually takes long (`took`, ns) beside all others'.

    Gives, beside the columns of `group`, `slow` (which one), `count` (of its rows), and the medians: `own_ns`, and
    `others_ns` of all others' rows. A group of which none is slow, or where that cannot be told, has no row.
    """
    keys = [*group, which]
    own = known.group_by(keys).agg(count=pl.len().cast(pl.Int64), own=pl.col(took).median())
    # Only the slowest of a group can be slow beside all others.
    slowest = own.sort("own", which, descending=[True, False]).unique(list(group), keep="first")
    others = (
        known.join(slowest.select(keys), on=keys, how="anti", nulls_equal=True)
        .group_by(group)
        .agg(others=pl.len(), other=pl.col(took).median())
    )
    apart = pl.col("own") - pl.col("other")
    return (
        slowest.join(others, on=list(group), nulls_equal=True)
        .filter(pl.col("count") >= FEWEST, pl.col("others") >= FEWEST)
        .filter(pl.col("own") >= SLOWER * pl.col("other"), apart >= _LEAST_NS)
        .select(
            *group,
            "count",
            slow=which,
            own_ns=pl.col("own").round().cast(pl.Int64),
            others_ns=pl.col("other").round().cast(pl.Int64),
        )
    )
