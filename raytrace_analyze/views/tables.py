"""Latency statistics, jobs and traces on screen."""

from typing import Any

import polars as pl
from rich.console import Console
from rich.markup import escape

from raytrace_analyze.stats import QUANTILES, TIMES
from raytrace_analyze.units import duration_text, share_text
from raytrace_analyze.views.chain import short_name
from raytrace_analyze.views.console import table

_TIME_NAMES = {"run": "run", "queue": "wait to start", "submit": "submit"}


def show_stats(stats: pl.DataFrame, by: str, console: Console, *, top: int) -> None:
    """Print latency statistics: three lines a group, how long it ran, waited to start and took to submit."""
    quantiles = [name for name, _ in QUANTILES]
    shown = table(
        by,
        "count",
        "errors",
        "of the path",
        "",
        "total",
        *quantiles,
        right=("count", "errors", "of the path", "total", *quantiles),
    )
    for row in stats.head(top).iter_rows(named=True):
        for time in TIMES:
            if row[f"{time}_p50_ns"] is None and time != "run":
                continue
            first = (_label(row[by], by), f"{row['count']:,}", _count(row["errors"]), share_text(row["path_share"], 1))
            shown.add_row(
                *(first if time == "run" else ("", "", "", "")),
                _TIME_NAMES[time],
                *(_time(row[f"{time}_{name}_ns"]) for name in ("total", *quantiles)),
                style="" if time == "run" else "dim",
            )
    console.print(shown)
    if stats.height > top:
        console.print(f"{stats.height - top} more; --top {stats.height} shows them all", style="dim")
    in_flight = int(stats.get_column("in_flight").sum())
    if in_flight:
        console.print(f"{in_flight:,} never ended: they are counted, their time is not.", style="dim")


def show_jobs(jobs: pl.DataFrame, console: Console) -> None:
    """Print the list of jobs."""
    counts = ("tasks", "spans", "traces", "processes", "errors", "in flight")
    shown = table("job", "program", "started (UTC)", "took", *counts, right=("took", *counts))
    for row in jobs.iter_rows(named=True):
        shown.add_row(
            escape(f"{row['session']}/{row['job_id']}" if row["job_id"] else f"{row['session']} (no job)"),
            escape(row["entrypoint"] or "-"),
            *_when(row),
            *(f"{row[name.replace(' ', '_')]:,}" for name in counts),
        )
    console.print(shown)


def show_traces(traces: pl.DataFrame, console: Console, *, top: int) -> None:
    """Print the list of traces, the longest first."""
    counts = ("tasks", "spans", "errors")
    shown = table("trace", "first span", "job", "started (UTC)", "took", *counts, right=("took", *counts))
    longest = traces.sort("makespan_ns", "trace_id", descending=[True, False])
    for row in longest.head(top).iter_rows(named=True):
        shown.add_row(
            row["trace_id"],
            escape(short_name(row["name"])),
            row["job_id"] or "-",
            *_when(row),
            *(f"{row[name]:,}" for name in counts),
        )
    console.print(shown)
    if traces.height > top:
        console.print(f"{traces.height - top:,} more; --top {traces.height} shows them all", style="dim")


def _when(row: dict[str, Any]) -> tuple[str, str]:
    return row["start"].strftime("%Y-%m-%d %H:%M:%S"), duration_text(row["makespan_ns"])


def _label(value: str | None, by: str) -> str:
    if value is None:
        return "-"
    return escape(short_name(value) if by in ("function", "name") else value)


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def _time(duration_ns: int | None) -> str:
    return "-" if duration_ns is None else duration_text(duration_ns)
