"""What a signal handler does while its thread waits: it lies in that wait, which goes on around it."""

import polars as pl

from raytrace_analyze.names.attributes import CALL_SITE, told
from raytrace_analyze.table.lineage import RowIds

_STOPPED = r"^(SystemExit|KeyboardInterrupt)\b"
"""How the error of a wait begins that a signal handler ended, as Ray Train's does."""
_FIRST_LINE = r"^([^\n]+)"
_LONG_NS = 100_000_000


def inside_waits(spans: pl.DataFrame, parent: RowIds) -> RowIds:
    """Give the parents with those of what signal handlers submitted and waited for: the wait that they broke into.

    Nothing tells that but where in the program they were called from: from the line at which their flow was waiting,
    in a wait that failed after them.
    """
    is_wait = (pl.col("category") == "wait") & pl.col("ready_task_ids").is_not_null()
    took = (pl.col("end") - pl.col("start")).dt.total_nanoseconds()
    about = spans.lazy().select(
        *("category", "start", "end", "status", "status_message", "ready_task_ids", "pid", "attributes"),
        row=pl.int_range(pl.len()),
        parent=pl.Series(parent),
    )
    waits = (
        about.filter(is_wait, pl.col("status") == "ERROR", took >= _LONG_NS, pl.col("parent") >= 0)
        .select(
            *("parent", "pid", "start"),
            of="row",
            until="end",
            stopped=pl.col("status_message").str.contains(_STOPPED).fill_null(value=False),
            line=told(pl.col("attributes"), CALL_SITE).str.extract(_FIRST_LINE),
        )
        .filter(pl.col("line").is_not_null())
        .collect()
    )
    if waits.is_empty():
        return parent
    inner = (
        about.filter(pl.col("category").is_in(["submit", "wait"]), pl.col("parent").is_in(waits["parent"].implode()))
        .select("parent", "pid", "start", "row", "end", site=told(pl.col("attributes"), CALL_SITE))
        .filter(pl.col("site").is_not_null())
        .collect()
    )
    found = (
        inner.sort("start")
        .join_asof(
            waits.sort("start"), on="start", by=["parent", "pid"], check_sortedness=False, allow_exact_matches=False
        )
        .filter(pl.col("of").is_not_null(), pl.col("end") <= pl.col("until"))
    )
    called = pl.format("{}\n", "site").str.contains(pl.format("\n{}\n", "line"), literal=True)
    at_once = pl.col("stopped") & (pl.col("site").str.extract(_FIRST_LINE) == pl.col("line"))
    found = found.filter(called | at_once)
    moved = parent.copy()
    moved[found.get_column("row").to_numpy()] = found.get_column("of").to_numpy()
    return moved
