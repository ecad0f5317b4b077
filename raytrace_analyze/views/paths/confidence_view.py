"""How much of a critical path rests on inference: in a sentence and a table, and as a document."""

from typing import Any

import polars as pl
from rich.console import Console

from raytrace_analyze.names.functions import short_name
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.text.units import duration_text, share_text
from raytrace_analyze.views.documents import records
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.vocabulary.options import Inference

_SAYINGS: dict[str, str] = {Inference.JOIN: "who was waited for", Inference.PREDECESSOR: "what let a run start"}


def show_confidence(path: CriticalPath, console: Console, *, top: int) -> None:
    """Print how much of a path is certain, and what the rest rests on."""
    found = path.confidence()
    inferred = found.drop_nulls("inference")
    console.print()
    if inferred.is_empty():
        console.print("All of the makespan is certain: nothing on the path is inferred.", style="bold")
        return
    times = _times(found)
    rest_ns = path.makespan_ns - times[None]
    parts = ", ".join(f"{duration_text(times[kind])} on {saying}" for kind, saying in _SAYINGS.items() if times[kind])
    console.print(
        f"{share_text(times[None], path.makespan_ns)} of the makespan is certain; "
        f"{share_text(rest_ns, path.makespan_ns)} ({duration_text(rest_ns)}) rests on inference: {parts}.",
        style="bold",
    )
    shown = table("inferred is", "function", "total", "share", right=("total", "share"))
    for row in inferred.head(top).iter_rows(named=True):
        function = short_name(row["function"])
        shown.add_row(_SAYINGS[row["inference"]], function, duration_text(row["total_ns"]), share_text(row["share"], 1))
    rest = inferred.slice(top)
    if not rest.is_empty():
        total = int(rest.get_column("total_ns").sum())
        shown.add_row(f"{rest.height} more", "", duration_text(total), share_text(total, path.makespan_ns), style="dim")
    console.print(shown)


def confidence_document(path: CriticalPath) -> dict[str, Any]:
    """Give the document of what a path rests on."""
    found = path.confidence()
    times = _times(found)
    return {
        "certain_ns": times[None],
        "inferred_ns": path.makespan_ns - times[None],
        **{f"{kind}_ns": times[kind] for kind in Inference},
        "by_function": records(found.drop_nulls("inference")),
    }


def _times(found: pl.DataFrame) -> dict[str | None, int]:
    sums = dict(found.group_by("inference").agg(pl.col("total_ns").sum()).iter_rows())
    return {kind: sums.get(kind, 0) for kind in (None, *Inference)}
