"""A trace as a tree on screen: names by depth, and a bar where each span lies in time."""

from typing import Any

import polars as pl
from rich.console import Console

from raytrace_analyze.analyses.trace_tree import TraceTree
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.views.documents import Records, path_scope
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label

ON_PATH = "*"
_INDENT = 2
_DEEPEST = 12
"""How deep names are indented; what lies deeper says how deep."""
_BARS = ((120, 40), (90, 24), (0, 12))
"""How wide the bars are, from which width of the screen on."""


def show_tree(tree: TraceTree, console: Console, *, top: int) -> None:
    """Print a tree: of a large one what is on the path, then what took longest, with all that is above it."""
    scope = tree.path.scope
    name = f" ({scope.name})" if scope.name else ""
    console.print(
        f"{scope.kind.capitalize()} {scope.id}{name} took {duration_text(tree.path.makespan_ns)}.", style="bold"
    )
    width = next(bar for least, bar in _BARS if console.width >= least)
    kept = _chosen(tree.spans, top)
    shown = table("", "took", "", "span", right=("took",), drop=())
    shown.columns[2].no_wrap = True
    for row in kept.iter_rows(named=True):
        is_on_path = row["path_ns"] > 0
        style = "green" if is_on_path else "red" if row["status"] == "ERROR" else ""
        took = "never ended" if row["duration_ns"] is None else duration_text(row["duration_ns"])
        bar = label(_bar(row, tree, width), style=style)
        shown.add_row(ON_PATH if is_on_path else "", took, bar, label(_name(row), style=style))
    console.print(shown)
    console.print(f"{ON_PATH} on the critical path; bars show when each span was.", style="dim")
    if (rest := tree.spans.height - kept.height) > 0:
        console.print(f"{count_text(rest, 'more span')}; --top {tree.spans.height} shows them all", style="dim")


def tree_document(tree: TraceTree) -> dict[str, Any]:
    """Give the document of a tree."""
    return {"scope": path_scope(tree.path), "makespan_ns": tree.path.makespan_ns, "spans": Records(tree.spans)}


def _chosen(spans: pl.DataFrame, top: int) -> pl.DataFrame:
    """Choose the spans to show, and the ancestors of each of them, in their order."""
    if spans.height <= top:
        return spans
    numbered = spans.with_row_index("row")
    took = pl.col("duration_ns").fill_null(2**62)
    best = numbered.sort((pl.col("path_ns") > 0), took, descending=True).head(top)
    wanted = set(best.get_column("row").to_list())
    above: list[int] = []
    for row, depth in numbered.select("row", "depth").iter_rows():
        del above[depth:]
        above.append(row)
        if row in wanted:
            wanted.update(above)
    return spans[sorted(wanted)]


def _bar(row: dict[str, Any], tree: TraceTree, width: int) -> str:
    whole = max(tree.path.makespan_ns, 1)
    end = tree.path.end_ns if row["end_ns"] is None else row["end_ns"]
    first: int = min(max(width * (row["start_ns"] - tree.path.start_ns) // whole, 0), width - 1)
    length: int = max(round(width * (end - row["start_ns"]) / whole), 1)
    return " " * first + "█" * min(length, width - first)


def _name(row: dict[str, Any]) -> str:
    depth = min(row["depth"], _DEEPEST)
    deeper = f"({row['depth']} deep) " if row["depth"] > _DEEPEST else ""
    process = f" [process {row['pid']}]" if row["pid"] is not None else ""
    failed = ", failed" if row["status"] == "ERROR" else ""
    return f"{' ' * (_INDENT * depth)}{deeper}{short_name(row['name'])}{process}{failed}"
