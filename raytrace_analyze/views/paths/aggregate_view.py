"""What holds the critical paths of many jobs or traces, on screen and for programs."""

from typing import Any

from rich.console import Console

from raytrace_analyze.path.aggregate import Aggregates
from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.views.documents import records
from raytrace_analyze.views.paths.path_view import INFERRED
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.words import group_text

_PERCENTILES = ("p50", "p90", "p99", "max")


def show_aggregates(found: Aggregates, console: Console, *, scopes: str, by: str, top: int) -> None:
    """Print what the critical paths are made of: one line a group, each with an example to look at."""
    many = count_text(found.scopes, scopes.removesuffix("s"))
    console.print(
        label(f"{many} took {duration_text(found.makespan_ns)} in all; this is what decided it.", style="bold")
    )
    if found.frame.is_empty():
        return
    if found.tail_scopes:
        tail = count_text(found.tail_scopes, scopes.removesuffix("s"))
        console.print(f"The slowest {tail} took {duration_text(found.tail_from_ns)} or more. What differs in them:")
        _show_tail(found, console, scopes, by, top)
    else:
        _show_totals(found, console, scopes, by, top)
    if found.frame.height > top:
        console.print(f"{found.frame.height - top:,} more; --top {found.frame.height} shows them all", style="dim")
    inferred = int(found.frame.get_column("inferred_ns").sum())
    if inferred:
        console.print(f"{INFERRED} inferred: {share_text(inferred, found.makespan_ns)} of the time.", style="yellow")


def _show_totals(found: Aggregates, console: Console, scopes: str, by: str, top: int) -> None:
    right = ("share", "total", "on paths", *_PERCENTILES)
    shown = table(f"by {by}", *right, "example", right=right, drop=("p90", "p50", "on paths", "example", "max"))
    for row in found.frame.head(top).iter_rows(named=True):
        shown.add_row(
            _label(row, by),
            share_text(row["share"], 1),
            duration_text(row["total_ns"]),
            f"{row['scopes']:,}",
            *(duration_text(row[f"{name}_ns"]) for name in _PERCENTILES),
            _example(row, scopes),
        )
    console.print(shown)


def _show_tail(found: Aggregates, console: Console, scopes: str, by: str, top: int) -> None:
    right = ("in the slowest", "in the rest", "more time each", "their mean", "the rest's mean")
    shown = table(f"by {by}", *right, "example", right=right, drop=right[3:])
    for row in found.frame.head(top).iter_rows(named=True):
        shown.add_row(
            _label(row, by),
            share_text(row["tail_share"], 1),
            share_text(row["rest_share"], 1),
            duration_text(row["extra_ns"]),
            duration_text(row["tail_mean_ns"]),
            duration_text(row["rest_mean_ns"]),
            _example(row, scopes),
        )
    console.print(shown)


def _label(row: dict[str, Any], by: str) -> str:
    mark = f" {INFERRED}" if row["inferred_ns"] and row[by] is not None else ""
    return group_text(by, row[by]) + mark


def _example(row: dict[str, Any], scopes: str) -> str:
    """Name a scope as `--job` or `--trace` takes it."""
    scope, session = row["example"], row["example_session"]
    return f"{session}/{scope}" if scopes == "jobs" and scope != session else str(scope or "-")


def aggregates_document(found: Aggregates, *, scopes: str, by: str) -> dict[str, Any]:
    """Give the document of summed-up paths; `tail` is null where none was asked for."""
    tail = {"count": found.tail_scopes, "from_ns": found.tail_from_ns} if found.tail_scopes else None
    return {
        "scopes": scopes,
        "by": by,
        "count": found.scopes,
        "makespan_ns": found.makespan_ns,
        "inferred_ns": int(found.frame.get_column("inferred_ns").sum()),
        "tail": tail,
        "groups": records(found.frame),
    }
