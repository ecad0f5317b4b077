"""The flame graph of the path: which function called which, what each did, down to lines where samples tell them."""

import polars as pl

from raytrace_analyze.names.functions import short_name
from raytrace_analyze.report.elements import percent, section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.kinds import Kind, kind_named
from raytrace_analyze.report.markup import Markup, lines, tag
from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.vocabulary.paths import Activity

_HEIGHT = 22
_NARROWEST = 1 / 1000
_DEEPEST = 40


def flame_section(facts: ReportFacts) -> Markup:
    """Show the flame graph."""
    nodes, whole = facts.stacks, facts.path.makespan_ns
    if nodes.is_empty() or not whole:
        return Markup()
    has_lines = (nodes.get_column("kind") == "line").any()
    lead = "The path by function: a bar is as wide as its part of the job, and stands on what called it."
    if has_lines:
        lead += " Own time that was sampled is divided among the program's lines."
    return section("flame", "Flame graph of the path", flame_graph(nodes, whole), lead=lead)


def flame_graph(nodes: pl.DataFrame, whole: int) -> Markup:
    """Draw stacks (columns of `STACK_NODES`) of a job that took `whole` ns."""
    left: dict[int, float] = {-1: 0.0}
    depth: dict[int, int] = {-1: -1}
    drawn, deepest = [], 0
    ordered = nodes.sort("above", "total_ns", descending=[False, True], maintain_order=True)
    children = ordered.partition_by("above", as_dict=True)
    waiting = [-1]
    while waiting:
        above = waiting.pop()
        at = left[above]
        for row in children.get((above,), nodes.clear()).iter_rows(named=True):
            share = row["total_ns"] / whole
            node = row["node"]
            left[node], depth[node] = at, depth[above] + 1
            at += share
            if share >= _NARROWEST and depth[node] < _DEEPEST:
                deepest = max(deepest, depth[node])
                drawn.append(_box(row, left[node], share, depth[node]))
                waiting.append(node)
    label = f"Flame graph of the critical path, {count_text(len(drawn), 'box', 'boxes')}"
    graph = tag("svg", drawn, height=(deepest + 1) * _HEIGHT, class_="flame", role="img", aria_label=label)
    return tag("div", graph, class_="chart", data_flame=True)


def _box(row: dict[str, object], left: float, share: float, depth: int) -> Markup:
    name, style = _name(str(row["kind"]), row["name"])
    took = duration_text(int(str(row["total_ns"])))
    seen = f", {count_text(int(str(row['samples'])), 'sample')}" if row["samples"] is not None else ""
    return tag(
        "svg",
        tag("title", lines(name, f"{took}, {share_text(share, 1)} of the job{seen}")),
        tag("rect", width="100%", height="100%", class_=style),
        tag("text", name, x="5", y="15", class_="fits on-plain" if style.startswith("flame") else "fits"),
        x=percent(left),
        y=depth * _HEIGHT,
        width=percent(share),
        height=_HEIGHT - 1,
        class_="box",
    )


def _name(kind: str, name: object) -> tuple[str, str]:
    """Give what a box is called, and its class."""
    text = None if name is None else str(name)
    if kind == "function":
        return short_name(text), "flame-function"
    if kind == "span":
        return short_name(text), "flame-span"
    if kind == "line":
        return str(text), "flame-line"
    found: Kind = kind_named(kind, None, text) if text in set(Activity) else kind_named(kind, text)
    return found.label, f"k-{found.key}"
