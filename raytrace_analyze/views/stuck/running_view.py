"""A job while it runs, or as it was when its record ends."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType

from raytrace_analyze.analyses.stuck.running import Running
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.views.documents import path_scope, records
from raytrace_analyze.views.paths.path_view import path_sums
from raytrace_analyze.views.screen.fitted_table import FittedTable, table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.stuck.hang_view import hang_document, hang_lines


def running_screen(found: Running, now_ns: int, *, top: int) -> Group:
    """Make the screen of a job at a time (ns): what runs, what waits for what, the path so far."""
    return Group(*_parts(found, now_ns, top))


def running_document(found: Running) -> dict[str, Any]:
    """Give the document of a job at the end of its record."""
    return {
        "scope": path_scope(found.path),
        "last_ns": found.last_ns,
        "ended": found.has_ended,
        "makespan_ns": found.path.makespan_ns,
        "running": records(found.runs),
        "waits": hang_document(found.waits),
        "by_function": records(found.path.by("function")),
    }


def _parts(found: Running, now_ns: int, top: int) -> Iterator[RenderableType]:
    path = found.path
    name = f" ({path.scope.name})" if path.scope.name else ""
    so_far = "took" if found.has_ended else "has run for"
    took = path.makespan_ns if found.has_ended else max(now_ns - path.start_ns, path.makespan_ns)
    yield label(f"{path.scope.kind.capitalize()} {path.scope.id}{name} {so_far} {duration_text(took)}.", style="bold")
    yield label(f"It ran {count_text(path.runs, 'task')}; the last word from it is {_ago(found.last_ns, now_ns)}.")
    yield label("")
    if found.has_ended:
        yield label("Nothing runs any more: every span has ended.")
    else:
        yield label("What runs, the longest first.", style="bold")
        yield _runs(found, now_ns, top)
        if (rest := found.runs.height - top) > 0:
            yield label(f"{rest} more; --top {found.runs.height} shows them all", style="dim")
        yield label("")
        yield from hang_lines(found.waits, top)
    yield label("")
    yield label("The critical path so far.", style="bold")
    yield path_sums(path, min(top, 5), "function")


def _runs(found: Running, now_ns: int, top: int) -> FittedTable:
    shown = table("function", "for", "process", "in", "in it for", right=("for", "in it for"))
    for row in found.runs.head(top).iter_rows(named=True):
        within = row["within"]
        shown.add_row(
            short_name(row["function"]),
            duration_text(max(now_ns - row["since_ns"], 0)),
            "-" if row["pid"] is None else str(row["pid"]),
            within or "",
            duration_text(max(now_ns - row["within_since_ns"], 0)) if within else "",
        )
    return shown


def _ago(then_ns: int, now_ns: int) -> str:
    return f"{duration_text(now_ns - then_ns)} old" if now_ns > then_ns else "where the record ends"
