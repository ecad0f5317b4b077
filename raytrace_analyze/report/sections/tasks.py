"""Tasks: the slowest, and all of them."""

from typing import Any

import polars as pl

from raytrace_analyze.names.functions import short_name
from raytrace_analyze.path.outcome import endings
from raytrace_analyze.report.elements import data_table, section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Markup, tag
from raytrace_analyze.text.units import count_text, duration_text, offset_text
from raytrace_analyze.views.words import ENDINGS
from raytrace_analyze.wording.phrases import attempt_or_it

_SLOWEST = 50
_SHORT_ID = 6

Row = dict[str, Any]


def tasks_section(facts: ReportFacts) -> Markup:
    """Show the slowest task runs; the script adds the table of all."""
    runs = facts.timed.filter("is_run").with_columns(ending=endings())
    slowest = runs.with_columns(took=pl.col("run_ns").fill_null(pl.lit(2**62))).sort(
        "took", descending=True, maintain_order=True
    )
    shown = min(_SLOWEST, runs.height)
    caption = (
        f"The slowest {shown} of {count_text(runs.height, 'task run')}"
        if runs.height > shown
        else "All that ran, the longest first"
    )
    rows = [_slow(row, facts) for row in slowest.head(shown).iter_rows(named=True)]
    heads = ["function", "took", "waited to start", "started at", "where", "ended"]
    table = data_table(caption, heads, rows, right=("took", "waited to start", "started at"))
    everything = tag(
        "div",
        tag("noscript", tag("p", "With JavaScript on, all tasks can be sorted and searched here.")),
        id="all-tasks",
    )
    return section("tasks", "Tasks", table, everything)


def _slow(row: Row, facts: ReportFacts) -> list[str]:
    start = facts.trace.structure.start[row["row"]] - facts.path.start_ns
    return [
        short_name(row["function"] or row["name"]),
        "not ended" if row["run_ns"] is None else duration_text(row["run_ns"]),
        "" if row["queue_ns"] is None else duration_text(row["queue_ns"]),
        offset_text(int(start), facts.path.makespan_ns),
        where_it_ran(row),
        _ending(row),
    ]


def where_it_ran(row: Row) -> str:
    """Say on which node and in which process and actor something ran: a row of `schema.TABLE`."""
    parts = [
        f"node {row['node_id'][:_SHORT_ID]}" if row["node_id"] else None,
        f"process {row['pid']}" if row["pid"] is not None else None,
        f"actor {row['actor_id'][:_SHORT_ID]}" if row["actor_id"] else None,
    ]
    return ", ".join(part for part in parts if part)


def _ending(row: Row) -> str:
    attempt = f" ({attempt_or_it(row['attempt'])})" if row["attempt"] else ""
    if row["ending"]:
        return ENDINGS[row["ending"]] + attempt
    return ("never" if row["run_ns"] is None else "well") + attempt
