"""What a signal handler does while its thread waits: it lies in that wait, which goes on around it."""

import polars as pl

from raytrace_analyze.table.lineage import RowIds

_STOPPED = r"^(SystemExit|KeyboardInterrupt)\b"
"""How the error of a wait begins that a signal handler ended: the program's, Python's, or one of Ray Train's."""


def inside_waits(spans: pl.DataFrame, parent: RowIds) -> RowIds:
    """Give the parents with those of what signal handlers did: the wait that they broke into, and then ended.

    A thread that waits for a result does nothing else, but for such handlers. What other threads do meanwhile names no
    parent of its own: they have no context.
    """
    took = pl.col("end") > pl.col("start")
    is_wait = (pl.col("category") == "wait") & pl.col("ready_task_ids").is_not_null() & (pl.col("status") == "ERROR")
    about = spans.lazy().select(
        *("category", "kind", "start", "end", "status", "status_message", "ready_task_ids", "pid", "parent_id"),
        row=pl.int_range(pl.len()),
        parent=pl.Series(parent),
    )
    waits = (
        about.filter(is_wait, pl.col("status_message").str.contains(_STOPPED), took, pl.col("parent") >= 0)
        .select("parent", "pid", "start", of="row", until="end")
        .collect()
    )
    if waits.is_empty():
        return parent
    is_below = pl.col("parent").is_in(waits.get_column("parent").implode()) & pl.col("parent_id").is_not_null()
    found = (
        about.filter(is_below, pl.col("kind") != "CONSUMER")
        .select("parent", "pid", "start", "end", "row")
        .collect()
        .sort("start")
        .join_asof(
            waits.sort("start"), on="start", by=["parent", "pid"], check_sortedness=False, allow_exact_matches=False
        )
        .filter(pl.col("of").is_not_null(), pl.col("end") <= pl.col("until"))
    )
    moved = parent.copy()
    moved[found.get_column("row").to_numpy()] = found.get_column("of").to_numpy()
    return moved
