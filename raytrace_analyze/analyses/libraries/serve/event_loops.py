"""How busy the event loops are on which replicas of Ray Serve run their handlers."""

from collections.abc import Mapping
from typing import Any

import polars as pl

_BUSY = 0.5
"""From what part of the time on that its handlers keep it a loop is worth a word."""
_IDLE = 0.4
"""What part of that they must be idle to block it."""


def is_kept(row: Mapping[str, Any]) -> bool:
    """Tell whether the handlers of a row of `serve` keep the event loops of their replicas most of the time."""
    return row["loop_share"] is not None and row["loop_share"] >= _BUSY


def blocks_loop(row: Mapping[str, Any]) -> bool:
    """Tell whether they do so while they are idle: in a `time.sleep`, or a call that waits and is not awaited."""
    return is_kept(row) and (row["loop_idle_mean_ns"] or 0) >= _IDLE * row["loop_mean_ns"]


def kept_loops(requests: pl.DataFrame, group: tuple[str, ...]) -> pl.DataFrame:
    """Tell for each group of requests (columns of `find_requests`) what part of the time handlers kept a loop.

    Gives, beside the columns of `group`, `loop_share` (0 to 1): of the time from a replica's first request of the group
    to its last, over all its replicas. A group of which the hook did not record it has no row.
    """
    known = requests.filter(pl.col("replica").is_not_null(), pl.col("loop_ns").is_not_null())
    by_replica = known.group_by(*group, "replica").agg(
        kept=pl.col("loop_ns").sum(),
        lasted=(pl.col("start_ns") + pl.col("total_ns")).max() - pl.col("start_ns").min(),
    )
    share = pl.col("kept").sum() / pl.col("lasted").sum()
    return (
        by_replica.group_by(group)
        .agg(loop_share=share.clip(0, 1), lasted=pl.col("lasted").sum())
        .filter(pl.col("lasted") > 0)
        .drop("lasted")
    )
