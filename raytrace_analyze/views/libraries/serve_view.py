"""Where the time of Ray Serve's requests goes, on screen: an answer in a sentence, then one table."""

from collections.abc import Callable
from typing import Any

import polars as pl
from rich.console import Console

from raytrace_analyze.analyses.libraries.serve.event_loops import blocks_loop, is_kept
from raytrace_analyze.analyses.libraries.serve.requests import PARTS
from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.views.libraries.version_notes import version_notes
from raytrace_analyze.views.screen.console import table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.vocabulary.spans import Library

PARTS_SAID = {
    "proxy": "at the proxy",
    "router": "in the router's queue, waiting for a replica that takes it",
    "way": "on the way to the replica",
    "fill": "waiting for others to fill the request's batch (@serve.batch)",
    "turn": "waiting for the request's batch (@serve.batch) to begin",
    "load": "waiting for a model to be loaded (@serve.multiplexed)",
    "handler": "in the handler itself",
    "downstream": "downstream, in other deployments",
    "back": "on the way back",
}
"""Where the time of requests is, by part of it."""
_HEADS = {
    "proxy": "proxy",
    "router": "router\nqueue",
    "way": "way to\nreplica",
    "fill": "batch\nfills",
    "turn": "batch\nbegins",
    "load": "model\nloads",
    "handler": "own\nhandler",
    "downstream": "down-\nstream",
    "back": "way\nback",
}
_NO_SENDS = (
    "the way to the replica and the sends of a request are not known, and part of the router's queue: the files of "
    "Serve's tracing alone do not have them; trace with raytrace_hook"
)
_NO_PROXY = (
    "the proxy's part and the way back are not known of requests that came by a handle of a program, and of those "
    "between deployments"
)
_NO_STARTS = "how long replicas took to start is not known: the spans of Ray itself are not there"
_NO_REQUESTS = "There are no requests of Ray Serve in these spans."
_UNSAMPLED = (
    "Serve runs in them: it records one request of a hundred unless RAY_SERVE_TRACING_SAMPLING_RATIO says otherwise "
    "(1 for all), and none before raytrace_hook, or its own tracing, is switched on"
)

Row = dict[str, Any]


def notes(found: pl.DataFrame, spans: pl.DataFrame) -> list[str]:
    """Say which columns (of `serve`) are not known in some rows, and why; `spans` is what they were told from."""
    if found.is_empty():
        runs_serve = spans.get_column("function").str.contains("ServeReplica:|ServeController").any()
        lacks = version_notes(spans, Library.SERVE)
        return [_NO_REQUESTS, *(lacks or [_UNSAMPLED] if runs_serve else [])]
    said = []
    # Of requests that came by a handle without Serve's tracing nothing is known before the replica.
    if found.filter(pl.col("router_mean_ns").is_not_null(), pl.col("sends").is_null()).height:
        said.append(_NO_SENDS)
    if found.get_column("proxy_mean_ns").null_count():
        said.append(_NO_PROXY)
    if found.get_column("replicas").null_count():
        said.append(_NO_STARTS)
    return said + version_notes(spans, Library.SERVE)


def show_serve(found: pl.DataFrame, spans: pl.DataFrame, console: Console, *, top: int) -> None:
    """Print what `serve` gives."""
    rows = found.to_dicts()
    for row in _worth_saying(rows):
        console.print(label(_answer(row), style="bold"))
    for row in rows:
        if row["slow_replica"] is not None and row.get("in_tail", True):
            console.print(label(_slow_replica(row)))
        if is_kept(row) and row.get("in_tail", True):
            console.print(label(_kept_loop(row)))
    if rows:
        console.print()
        _show_table(rows[:top], console)
        _show_starts(rows, console)
    if len(rows) > top:
        console.print(f"{len(rows) - top:,} more; --top {len(rows)} shows them all", style="dim")
    for note in notes(found, spans):
        console.print(f"Note: {note.removesuffix('.')}.", style="dim")


def _worth_saying(rows: list[Row]) -> list[Row]:
    """Choose what is told in a sentence: the tail where one was asked for, of what comes from outside."""
    asked = [row for row in rows if row.get("in_tail", True)]
    return [row for row in asked if row["is_ingress"]] or asked[:1]


def _name(row: Row) -> str:
    return f"{row['deployment'] or '-'}.{row['method'] or '-'}"


def _answer(row: Row) -> str:
    count = count_text(row["requests"], "request")
    slowest = f"The slowest {count}" if row.get("in_tail") else f"{count[0].upper()}{count[1:]}"
    refused = f", {row['refused']:,} of them refused, as too many waited already" if row["refused"] else ""
    failed = f" ({row['errors']:,} failed{refused})" if row["errors"] else ""
    at = f" at {row['route']}" if row["route"] else ""
    if row["total_mean_ns"] is None:
        return f"{slowest} of {_name(row)}{at}{failed}: none came to a replica."
    parts = {part: row[f"{part}_mean_ns"] or 0 for part in PARTS}
    most = max(parts, key=lambda part: parts[part])
    return (
        f"{slowest} of {_name(row)}{at}{failed}: p50 {duration_text(row['total_p50_ns'])}, "
        f"p99 {duration_text(row['total_p99_ns'])}. {share_text(parts[most], row['total_mean_ns'])} of the time "
        f"is {PARTS_SAID[most]}."
    )


def _slow_replica(row: Row) -> str:
    return (
        f"Replica {row['slow_replica']} of {row['deployment']} is slow: the handler took "
        f"{duration_text(row['slow_replica_handler_ns'])} on it, {duration_text(row['other_replicas_handler_ns'])} "
        f"elsewhere (medians; it had {count_text(row['slow_replica_requests'], 'request')} of {_name(row)})."
    )


def _kept_loop(row: Row) -> str:
    kept = duration_text(row["loop_mean_ns"])
    how = (
        f"{duration_text(row['loop_idle_mean_ns'])} of that idle, in what is not awaited"
        if blocks_loop(row)
        else f"{duration_text(row['cpu_mean_ns'] or 0)} on the CPU"
    )
    return (
        f"{_name(row)} keeps the event loop of its replica {share_text(row['loop_share'], 1)} of the time, {kept} a "
        f"request, {how}: no other request goes on there meanwhile."
    )


def _show_table(rows: list[Row], console: Console) -> None:
    columns = [column for column in _COLUMNS if any(column[1](row) for row in rows)]
    heads = [head for head, _ in columns]
    shown = table("deployment", *heads, right=tuple(head for head in heads if head not in _LEFT))
    for row in rows:
        shown.add_row(_name(row), *(cell(row) for _, cell in columns), style="bold" if row.get("in_tail") else "")
    console.print(shown)
    console.print("Parts are means: they add up to the mean of the time in all.", style="dim")


def _show_starts(rows: list[Row], console: Console) -> None:
    told = {row["deployment"]: row for row in rows if row["replica_start_max_ns"]}
    for name, row in told.items():
        many = count_text(row["replicas"], "replica")
        died = f", {row['replicas_died']:,} of them died while handling requests" if row["replicas_died"] else ""
        never = f", {row['replicas_not_ready']:,} of them never ready" if row["replicas_not_ready"] else ""
        console.print(
            f"{name}: {many}{died}{never}, ready {duration_text(row['replica_start_p50_ns'])} after creation"
            f" (the slowest {duration_text(row['replica_start_max_ns'])}).",
            style="dim",
        )


def _time(column: str) -> Callable[[Row], str]:
    return lambda row: "" if row[column] is None else duration_text(row[column])


def _batch(row: Row) -> str:
    size, most = row["batch_size"], row["max_batch_size"]
    return "" if size is None else f"{size:.1f}" + ("" if most is None else f" of {most:.0f}")


_LEFT = ("route", "which")
_COLUMNS: list[tuple[str, Callable[[Row], str]]] = [
    ("route", lambda row: row["route"] or ""),
    ("which", lambda row: "" if "in_tail" not in row else "slowest" if row["in_tail"] else "rest"),
    ("requests", lambda row: f"{row['requests']:,}"),
    ("errors", lambda row: f"{row['errors']:,}" if row["errors"] else ""),
    ("p50", _time("total_p50_ns")),
    ("p99", _time("total_p99_ns")),
    *((head, _time(f"{part}_mean_ns")) for part, head in _HEADS.items()),
    ("batch", _batch),
    ("sends", lambda row: "" if row["sends"] is None else f"{row['sends']:.1f}"),
]
