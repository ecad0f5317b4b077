"""Results in a notebook: a piece of the page each, with the page's own colours and drawings."""

from functools import singledispatch
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl

from raytrace_analyze.analyses.cluster_use import ClusterUse
from raytrace_analyze.analyses.diff import RunDiff
from raytrace_analyze.analyses.path_stacks import path_stacks
from raytrace_analyze.analyses.stuck.hang import Hang
from raytrace_analyze.analyses.task_story import TaskStory
from raytrace_analyze.analyses.what_if import WhatIf
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.output import whole_file
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.report.elements import data_table
from raytrace_analyze.report.hatching import hatching
from raytrace_analyze.report.markup import Child, Markup, join, prose, tag
from raytrace_analyze.report.sections.advice import ranking_table
from raytrace_analyze.report.sections.cluster import use_charts
from raytrace_analyze.report.sections.difference import difference_tables
from raytrace_analyze.report.sections.flame import flame_graph
from raytrace_analyze.report.sections.functions import STATS_NEEDED, latency_table
from raytrace_analyze.report.sections.path import path_bar, path_functions
from raytrace_analyze.shown import Shown
from raytrace_analyze.text.units import duration_text, offset_text
from raytrace_analyze.values import frozen
from raytrace_analyze.verdict.result import Summary
from raytrace_analyze.views.diff_view import answer
from raytrace_analyze.views.stuck.hang_view import blocked_text, circle_texts
from raytrace_analyze.views.summary_view import summary_lines

_STYLES = ("colours.css", "charts.css", "notebook.css")
_ROOT = ":root"


@frozen
class Plot(Shown):
    """A drawing that a notebook shows."""

    title: str
    html: str
    """A piece of HTML, with its style."""

    def in_short(self) -> str:
        """Say what is drawn, and how to see it."""
        return f"{self.title}; a notebook shows it, save(FILE) writes it"

    def _repr_html_(self) -> str:
        return self.html

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as a page of its own. Raises UsageError where that cannot be written."""
        head = f'<!DOCTYPE html><html lang="en"><meta charset="utf-8">{tag("title", self.title)}<body>'
        try:
            with whole_file(path) as file:
                file.write(f"{head}{self.html}</body></html>".encode())
        except OSError as error:
            raise UsageError(f"cannot write {Path(path)}: {error.strerror or error}") from error


@singledispatch
def html_of(result: Any) -> str:
    """Give the HTML of a result: a piece that stands alone."""
    raise NotImplementedError(type(result).__name__)


@html_of.register
def _path(path: CriticalPath) -> str:
    return _piece(_bold(path.in_short()), path_bar(path), path_functions(path))


@html_of.register
def _summary(summary: Summary) -> str:
    first, *rest = summary_lines(summary)
    return _piece(_bold(first), [tag("p", prose(line)) for line in rest])


@html_of.register
def _what_if(answer: WhatIf) -> str:
    return _piece(_bold(answer.in_short()), None if answer.functions.is_empty() else ranking_table(answer))


@html_of.register
def _difference(found: RunDiff) -> str:
    return _piece(_bold(answer(found)), difference_tables(found))


@html_of.register
def _use(use: ClusterUse) -> str:
    return _piece(_bold(use.in_short()), use_charts(use))


@html_of.register
def _hang(hang: Hang) -> str:
    told = [*circle_texts(hang), *map(blocked_text, hang.blockers[:5])]
    return _piece(_bold(hang.in_short()), [tag("p", prose(line)) for line in told])


@html_of.register
def _story(story: TaskStory) -> str:
    rows = [
        [
            row["step"],
            offset_text(row["start_ns"] - story.start_ns, story.duration_ns),
            duration_text(row["duration_ns"]),
            row["sentence"],
        ]
        for row in story.steps.iter_rows(named=True)
    ]
    heads = ["step", "at", "took", "what"]
    return _piece(data_table(story.in_short(), heads, rows, right=("at", "took")))


def plot_path(path: CriticalPath) -> Plot:
    """Draw a critical path by cause, and below it by function as a flame graph."""
    graph = flame_graph(path_stacks(path), path.makespan_ns) if path.makespan_ns else None
    return Plot(f"critical path of {path.in_short()}", _piece(path_bar(path), graph))


def plot_latencies(stats: pl.DataFrame) -> Plot:
    """Draw latencies from p50 to the maximum (columns of `latency_stats`). Raises UsageError where columns lack."""
    missing = [name for name in STATS_NEEDED if name not in stats.columns]
    if missing:
        raise UsageError(f"plot needs the columns that latency_stats gives; missing here: {', '.join(missing)}")
    return Plot("latencies", _piece(latency_table(stats)))


def _bold(text: str) -> Markup:
    return tag("p", tag("b", prose(text)))


def _piece(*content: Child) -> str:
    """Put content into a piece whose style touches nothing else of the notebook."""
    folder = files("raytrace_analyze.report") / "assets"
    rules = "\n".join((folder / name).read_text(encoding="utf-8") for name in _STYLES).replace(_ROOT, ":scope")
    style = Markup(f"<style>@scope (.raytrace) {{\n{rules}\n}}</style>")
    return tag("div", style, hatching(), join(content), class_="raytrace")
