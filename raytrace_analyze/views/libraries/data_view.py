"""What the operators of Ray Data did, on screen: one table an execution, and which operator limits its rate."""

from collections.abc import Callable
from typing import Any

import polars as pl
from rich.console import Console

from raytrace_analyze.names.functions import DRIVER, ELSEWHERE, PROGRAM, RAY_DATA
from raytrace_analyze.text.units import bytes_text, count_text, duration_text, share_text
from raytrace_analyze.views.libraries.version_notes import version_notes
from raytrace_analyze.views.screen.console import table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.words import CAUSES
from raytrace_analyze.vocabulary.spans import Library

_WITHOUT_HOOK = (
    "busy, at a time and idle are not known: Ray's own tracing ends a generator's span when it is made; "
    "trace with raytrace_hook"
)
_WITHOUT_WORD = (
    "rows, bytes, back-pressure and the bounds of an execution are not known: they are told by raytrace_hook when an "
    "execution ends, with Ray Data from version 2.9 on"
)
_MOST_NAMED = 5
_NO_TASKS = "There are no tasks of Ray Data in these spans."

_WHO = {
    DRIVER: "the program, which takes the blocks,",
    PROGRAM: "the program, whose tasks or actors take the blocks,",
    RAY_DATA: "Ray Data itself, which hands out the tasks,",
    ELSEWHERE: "what the job waited for beside it",
}

Row = dict[str, Any]


def notes(operators: pl.DataFrame, spans: pl.DataFrame) -> list[str]:
    """Say which columns (of `data`) are not known in some rows, and why; `spans` is what they were told from."""
    real = operators.filter(~pl.col("operator").is_in(list(_WHO)))
    if real.is_empty():
        return [_NO_TASKS]
    found = []
    if real.get_column("busy_ns").null_count():
        found.append(_WITHOUT_HOOK)
    is_told = pl.col("outcome").is_not_null()
    # Beside executions Ray Data has a few tasks that belong to none, as where blocks are handed to it.
    is_beside = pl.col("execution").is_null() & is_told.any().over("session", "job_id")
    if real.filter(~is_told, ~is_beside, pl.col("rows_out").is_null()).height:
        found.append(_WITHOUT_WORD)
    uncounted = real.filter(is_told, pl.col("rows_out").is_null()).get_column("operator").unique(maintain_order=True)
    if uncounted.len():
        found.append(f"Ray Data itself did not count the rows and bytes of {', '.join(uncounted[:_MOST_NAMED])}")
    return found + version_notes(spans, Library.DATA)


def show_data(operators: pl.DataFrame, spans: pl.DataFrame, console: Console, *, top: int) -> None:
    """Print what `data` gives: of many executions those that took longest, in order of start."""
    shown, count = longest_executions(operators, top)
    for rows in shown:
        _show_execution(rows, console)
    if count > top:
        console.print(f"{count - top:,} shorter ones; --top {count} shows them all", style="dim")
    for note in notes(operators, spans):
        console.print(f"Note: {note.removesuffix('.')}.", style="dim")


def longest_executions(operators: pl.DataFrame, top: int) -> tuple[list[list[Row]], int]:
    """Give the rows of the executions that took longest, in order of start, and how many executions there are."""
    executions = operators.partition_by("session", "job_id", "execution", maintain_order=True)
    longest = sorted(range(len(executions)), key=lambda place: -executions[place]["took_ns"][0])[:top]
    return [executions[place].to_dicts() for place in sorted(longest)], len(executions)


def execution_text(rows: list[Row]) -> str:
    """Say of an execution how long it took, how it ended, and what limits it."""
    first = rows[0]
    ended = _failed(rows) if first["outcome"] == "failed" else ""
    ended = " and had not ended" if first["outcome"] == "open" else ended
    name = f"Execution {first['dataset']}" if first["dataset"] else "Ray Data"
    return f"{name} took {duration_text(first['took_ns'])}{ended}: {_limit(rows)}"


def _failed(rows: list[Row]) -> str:
    """Say that an execution failed, and of which operators tasks did."""
    names = [row["operator"] for row in rows if row.get("errors")]
    return (
        f" and failed, as {'tasks' if len(names) > 1 else 'a task'} of {' and '.join(names)} did"
        if names
        else " and failed"
    )


def execution_cells(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Give an execution's table: the heads (the first is the operator), and a row of texts for each operator."""
    columns = [column for column in _COLUMNS if any(_cell(row, column) for row in rows)]
    cells = [[row["operator"], *(_cell(row, column) for column in columns)] for row in rows]
    return ["operator", *(head for head, _ in columns)], cells


def slow_actor_text(row: Row) -> str:
    """Say of an operator which of its actors is slow."""
    own, others = duration_text(row["slow_actor_task_ns"]), duration_text(row["other_actors_task_ns"])
    had = f"{row['slow_actor_tasks']:,} of {count_text(row['tasks'], 'task')}"
    return (
        f"Actor {row['slow_actor']} of {row['operator']} is slow: a task took {own} on it, {others} elsewhere "
        f"(medians; it had {had})."
    )


def _show_execution(rows: list[Row], console: Console) -> None:
    console.print(label(execution_text(rows), style="bold"))
    for row in rows:
        if row["slow_actor"] is not None:
            console.print(label(slow_actor_text(row)))
    heads, cells = execution_cells(rows)
    shown = table(*heads, right=tuple(heads[1:]))
    for row, texts in zip(rows, cells, strict=True):
        shown.add_row(*texts, style=_style(row))
    console.print(shown)
    console.print()


def _limit(rows: list[Row]) -> str:
    """Say what limits the rate; where processes mostly started, that first, and what has most of the rest."""
    limiting, first = next((row for row in rows if row["limits"]), None), rows[0]
    took_ns = max(first["took_ns"], 1)
    start_up_ns = sum(row["start_up_ns"] for row in rows)
    started = f"{duration_text(start_up_ns)} of that went to starting processes and loading code"
    if limiting is None:
        return f"{started}." if start_up_ns else "nothing of it is on the critical path."
    steady_ns = limiting["path_ns"] - limiting["start_up_ns"]
    who = _WHO.get(limiting["operator"], limiting["operator"])
    share = f"{duration_text(steady_ns)}, {share_text(steady_ns / took_ns, 1)} of the time"
    never_ran = [row["operator"] for row in rows if row["operator"] not in _WHO and not row["tasks"]]
    if 2 * start_up_ns >= took_ns:
        return f"{started}; of the rest, {who} had most ({share})."
    if first["outcome"] in ("open", "failed") and limiting["operator"] == RAY_DATA and never_ran:
        return f"{' and '.join(never_ran)} never ran a task; raytrace-analyze hang says what they wait for."
    if first["outcome"] == "open":
        return f"{who} had most of the time until then ({share}); raytrace-analyze hang says what it waited for."
    if limiting["operator"] == ELSEWHERE:
        return f"the job waited for something else meanwhile ({share_text(steady_ns / took_ns, 1)} of the time)."
    return f"{who} limits the rate ({share_text(steady_ns / took_ns, 1)} of the time)."


def _style(row: Row) -> str:
    return "bold" if row["limits"] else ""


def _queued(row: Row) -> str:
    if not row["queued_ns"]:
        return ""
    return f"{duration_text(row['queued_ns'])} {CAUSES.get(row['queued_for'], row['queued_for'])}"


def _held(row: Row) -> str:
    """Say how long an operator was held back, and by what."""
    times = [(row["held_submission_ns"], "to start"), (row["held_output_ns"], "to give")]
    parts = [f"{duration_text(time)} {what}" for time, what in times if time]
    return ", ".join(parts) + (f" ({row['held_by']})" if parts and row["held_by"] else "")


def _time(column: str) -> Callable[[Row], str]:
    return lambda row: duration_text(row[column]) if row[column] else ""


_Column = tuple[str, Callable[[Row], str]]
_COLUMNS: list[_Column] = [
    ("tasks", lambda row: f"{row['tasks']:,}" if row["tasks"] else ""),
    ("errors", lambda row: f"{row['errors']:,}" if row["errors"] else ""),
    ("on the\npath", _time("path_ns")),
    ("start-\nup", _time("start_up_ns")),
    ("of the\ntime", lambda row: share_text(row["path_share"], 1) if row["path_ns"] else ""),
    ("rows out", lambda row: "" if row["rows_out"] is None else f"{row['rows_out']:,}"),
    ("bytes out", lambda row: bytes_text(row["bytes_out"]) if row["bytes_out"] else ""),
    ("busy", _time("busy_ns")),
    ("at a\ntime", lambda row: f"{row['mean_parallel']:.2f}" if row["mean_parallel"] else ""),
    ("queued", _queued),
    ("idle", _time("idle_ns")),
    ("held back", _held),
    ("actor\nstart", _time("actor_start_ns")),
    ("rows/s", lambda row: f"{row['rows_per_s']:,.{1 if row['rows_per_s'] >= 1 else 3}f}" if row["rows_per_s"] else ""),
]


def _cell(row: Row, column: _Column) -> str:
    return column[1](row)
