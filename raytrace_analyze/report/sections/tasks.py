"""Tasks: the slowest, all of them, and what failed or was tried again."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from raytrace_analyze.function_names import short_name
from raytrace_analyze.report.elements import data_table, folded, section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Markup, join, tag
from raytrace_analyze.units import count_text, duration_text, offset_text

_SLOWEST = 50
_FAILURES = 50
_SHORT_ID = 6

Row = dict[str, Any]


def tasks_section(facts: ReportFacts) -> Markup:
    """Show the slowest task runs; the script adds the table of all."""
    runs = facts.timed.filter("is_run")
    slowest = runs.with_columns(took=pl.col("run_ns").fill_null(pl.lit(2**62))).sort(
        "took", descending=True, maintain_order=True
    )
    shown = min(_SLOWEST, runs.height)
    caption = (
        f"The slowest {shown} of {count_text(runs.height, 'task run')}" if runs.height > shown else "All task runs"
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
        _where(row),
        _ending(row),
    ]


def _where(row: Row) -> str:
    parts = [
        f"node {row['node_id'][:_SHORT_ID]}" if row["node_id"] else None,
        f"process {row['pid']}" if row["pid"] is not None else None,
        f"actor {row['actor_id'][:_SHORT_ID]}" if row["actor_id"] else None,
    ]
    return ", ".join(part for part in parts if part)


def _ending(row: Row) -> str:
    attempt = f" (attempt {row['attempt'] + 1})" if row["attempt"] else ""
    if row["status"] == "ERROR":
        return f"failed{attempt}"
    return ("never" if row["run_ns"] is None else "well") + attempt


def errors_section(facts: ReportFacts) -> Markup:
    """Show what failed, and what was tried again."""
    failed = _failed(facts)
    if failed.is_empty():
        return section("errors", "Errors and retries", tag("p", "No task failed, and none was tried again."))
    groups = (
        failed.with_columns(line=pl.col("message").str.strip_chars().str.split("\n").list.first().fill_null(""))
        .group_by("function", "error_type", "line", maintain_order=True)
        .agg(
            count=pl.len(),
            again=pl.col("tried_again").sum(),
            first=pl.col("start_ns").min(),
            message=pl.col("message").first(),
            where=pl.struct("node_id", "pid", "actor_id").first(),
        )
        .sort("count", descending=True, maintain_order=True)
    )
    rows = [
        [
            short_name(row["function"]),
            row["error_type"] or "",
            f"{row['count']:,}",
            f"{row['again']:,}" if row["again"] else "",
            offset_text(row["first"] - facts.path.start_ns, facts.path.makespan_ns),
            _where(row["where"]),
            row["line"] or "no message",
        ]
        for row in groups.head(_FAILURES).iter_rows(named=True)
    ]
    heads = ["function", "kind", "attempts", "tried again", "first at", "first where", "message"]
    caption = "Attempts that failed, by function and message"
    if groups.height > _FAILURES:
        caption += f" (the first {_FAILURES} of {groups.height:,})"
    table = data_table(caption, heads, rows, right=("attempts", "tried again", "first at"))
    return section("errors", "Errors and retries", table, list(_messages(groups)))


def _failed(facts: ReportFacts) -> pl.DataFrame:
    """Attempts that failed: with a span, or told by task events alone."""
    columns = ("function", "error_type", "task_id", "attempt", "node_id", "pid", "actor_id", "status")
    start = pl.col("start").to_physical().alias("start_ns")
    told = [
        frame.select(*columns, start, message="status_message")
        for frame in (facts.timed.filter("is_run"), facts.attempts)
    ]
    every = pl.concat(told, how="vertical_relaxed")
    last = every.group_by("task_id").agg(last=pl.col("attempt").max())
    known = every.join(last, on="task_id", how="left", maintain_order="left", nulls_equal=True)
    return (
        known.filter(pl.col("status") == "ERROR")
        .with_columns(tried_again=(pl.col("attempt") < pl.col("last")).fill_null(False))
        .sort("start_ns", maintain_order=True)
    )


def _messages(groups: pl.DataFrame) -> Iterator[Markup]:
    for row in groups.head(_FAILURES).iter_rows(named=True):
        lines = (row["message"] or "").strip().splitlines()
        if len(lines) > 1:
            text = join(join((line, Markup("\n"))) for line in lines)
            yield folded(f"{short_name(row['function'])}: the whole message", tag("pre", text, tabindex="0"))
