"""Latency statistics, jobs and traces on screen."""

from typing import Any

import polars as pl
from rich.console import Console, Group

from raytrace_analyze.analyses.latency import QUANTILES, TIMES
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label

_TIME_NAMES = {"run": "run", "queue": "wait to start", "submit": "submit"}
_FIGURES = ("total", *(name for name, _ in QUANTILES))
_LESS = ("p95", "p90", "total", "p99", "cpu")
"""What goes on a narrow screen, in this order."""
_JOB_COUNTS = (
    ("tasks", "task run"),
    ("spans", "span"),
    ("traces", "trace"),
    ("processes", "process", "processes"),
    ("errors", "error"),
    ("in_flight", "never ended", "never ended"),
    ("without_span", "attempt without a span", "attempts without a span"),
)
_ALWAYS = ("tasks", "spans")


def show_stats(stats: pl.DataFrame, by: str, console: Console, *, top: int) -> None:
    """Print latency statistics: three lines a group, how long it ran, waited to start and took to submit.

    A narrow screen shows fewer figures; JSON and CSV have them all.
    """
    has_cpu = stats.get_column("cpu_total_ns").is_not_null().any()
    has_path = stats.get_column("path_share").is_not_null().any()
    counts = ("count", "errors", *(("cpu",) if has_cpu else ()), *(("of the\npath",) if has_path else ()))
    shown = table(by, *counts, "time to", *_FIGURES, right=(*counts, *_FIGURES), drop=_LESS)
    for row in stats.head(top).iter_rows(named=True):
        for time in TIMES:
            if row[f"{time}_p50_ns"] is None and time != "run":
                continue
            cpu = (_cpu(row),) if has_cpu else ()
            share = (share_text(row["path_share"], 1),) if has_path else ()
            first = (_label(row[by], by), f"{row['count']:,}", _errors(row), *cpu, *share)
            shown.add_row(
                *(first if time == "run" else ("",) * len(first)),
                _TIME_NAMES[time],
                *(_time(row[f"{time}_{name}_ns"]) for name in _FIGURES),
                style="" if time == "run" else "dim",
            )
    console.print(shown)
    if stats.height > top:
        console.print(f"{stats.height - top} more; --top {stats.height} shows them all", style="dim")
    if not has_path and stats.height:
        console.print("What is on the critical path is not told here; --path tells it.", style="dim")
    in_flight = int(stats.get_column("in_flight").sum())
    if in_flight:
        console.print(f"{in_flight:,} never ended: they are counted, their time is not.", style="dim")
    lost = int(stats.get_column("without_span").sum())
    if lost:
        console.print(
            f"{count_text(lost, 'more attempt')} left no span (killed, not started, still queued): not counted here, "
            "but among the errors where they failed.",
            style="dim",
        )


def show_jobs(jobs: pl.DataFrame, console: Console) -> None:
    """Print the list of jobs: each with the id that `--job` takes on a line of its own, unbroken."""
    for row in jobs.iter_rows(named=True):
        console.print(_job_id(row), style="bold", soft_wrap=True)
        counts = ", ".join(
            count_text(row[name], *words) for name, *words in _JOB_COUNTS if row[name] or name in _ALWAYS
        )
        started, took = _when(row)
        program = f"{row['entrypoint']}, " if row["entrypoint"] else ""
        console.print(Group(label(f"{program}{started} UTC, took {took}: {counts}", indent=4)))


def _job_id(row: dict[str, Any]) -> str:
    return f"{row['session']}/{row['job_id']}" if row["job_id"] else f"{row['session']}/ (no job)"


def show_traces(traces: pl.DataFrame, console: Console, *, top: int) -> None:
    """Print the list of traces, the longest first."""
    counts = ("tasks", "spans", "errors")
    shown = table(
        "trace",
        "first span",
        "job",
        "started (UTC)",
        "took",
        *counts,
        right=("took", *counts),
        drop=("errors", "started (UTC)", "spans", "tasks", "job"),
    )
    longest = traces.sort("makespan_ns", "trace_id", descending=[True, False])
    for row in longest.head(top).iter_rows(named=True):
        shown.add_row(
            row["trace_id"],
            short_name(row["name"]),
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
    return short_name(value) if by in ("function", "name") else value


def _errors(row: dict[str, Any]) -> str:
    """How many attempts gave no result, and what became of them where that is not just that they failed."""
    of = [f"{row[name]:,} {name}" for name in ("cancelled", "killed") if row[name]]
    return f"{_count(row['errors'])}{_in_brackets(of)}"


def _cpu(row: dict[str, Any]) -> str:
    """CPU time and its share of the run time in which it is known; unknown is not 0."""
    if row["cpu_total_ns"] is None:
        return "-"
    return f"{duration_text(row['cpu_total_ns'])} ({share_text(row['cpu_total_ns'], row['cpu_run_ns'])})"


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def _time(duration_ns: int | None) -> str:
    return "-" if duration_ns is None else duration_text(duration_ns)


def _in_brackets(parts: list[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""
