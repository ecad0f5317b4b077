"""The steps of attempts that left no span, as Ray's task events tell them: killed, never started, queued still."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.analyses.story_steps import ABOUT
from raytrace_analyze.names.spans import is_creation
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.schema import EVENT_TIMES
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.queues import Cause, Source
from raytrace_analyze.wording import task_steps


@frozen
class LostAttempt:
    """An attempt without a span; times are ns since the epoch."""

    start_ns: int
    end_ns: int
    """When it finished or failed, else the last time known of its session."""
    submit: int
    """The row of its submit among the spans, -1 where that is not known."""
    steps: list[dict[str, Any]]
    """What happened to it: rows of `STEPS`, `queue` and `run`."""


def lost_attempts(trace: PreparedTrace, session: str, task_id: str | None) -> list[LostAttempt]:
    """Give the attempts of a task that have no span, in order of start."""
    if task_id is None or trace.attempts.is_empty():
        return []
    rows = trace.attempts.filter(pl.col("session") == session, pl.col("task_id") == task_id).sort("start", "attempt")
    if rows.is_empty():
        return []
    spans = trace.spans
    last = int(trace.structure.end[(spans.get_column("session") == session).to_numpy()].max(initial=0))
    times = rows.with_columns(pl.col("start", "end", *EVENT_TIMES).to_physical())
    return [_lost(row, _submit_of(spans, row), last) for row in times.iter_rows(named=True)]


def _submit_of(spans: pl.DataFrame, row: dict[str, Any]) -> int:
    if row["parent_id"] is None:
        return -1
    found = (spans.get_column("trace_id") == row["trace_id"]) & (spans.get_column("span_id") == row["parent_id"])
    rows = np.flatnonzero(found.fill_null(False).to_numpy())
    return int(rows[0]) if rows.size else -1


def _lost(row: dict[str, Any], submit: int, last: int) -> LostAttempt:
    known = [row[name] for name in EVENT_TIMES if row[name] is not None]
    end = row["end"] if row["end"] is not None else max(last, *known)
    return LostAttempt(row["start"], end, submit, list(_steps(row, end)))


def _steps(row: dict[str, Any], end: int) -> Iterator[dict[str, Any]]:
    about = {name: row[name] for name in ABOUT}
    since = row["start"]
    for reached, cause, why in _waits(row):
        until = end if reached is None else min(reached, end)
        if until > since:
            yield {
                **about,
                **_times("queue", since, until),
                "cause": str(cause),
                "source": str(Source.TASK_EVENTS),
                "sentence": task_steps.waited_by_events(
                    row["function"] or row["name"],
                    until - since,
                    why,
                    to_the_last=until == end and row["end"] is None,
                ),
            }
            since = until
    if row["state_running"] is not None:
        yield {**about, **_times("run", since, max(since, end)), "sentence": _run_sentence(row)}


def _waits(row: dict[str, Any]) -> Iterator[tuple[int | None, Cause, str]]:
    """Give what it waited for in turn, each with the time at which that was over; None for never."""
    assigned, submitted, running = (
        row[f"state_{state}"] for state in ("pending_node_assignment", "submitted_to_worker", "running")
    )
    reached = assigned if assigned is not None else submitted if submitted is not None else running
    if row["attempt"]:
        yield reached, Cause.RETRY, task_steps.before_attempt(row["attempt"])
    else:
        yield reached, Cause.DEPENDENCY, task_steps.FOR_ARGUMENTS
    if reached is None:
        return
    placed = submitted if submitted is not None else running
    if _is_method(row):
        yield placed, Cause.ACTOR_START, task_steps.FOR_ACTOR
    else:
        yield placed, Cause.NO_SLOT, task_steps.FOR_SLOT_OR_PROCESS
    if placed is None:
        return
    if _is_method(row):
        yield running, Cause.ACTOR_BUSY, task_steps.FOR_TURN
    else:
        yield running, Cause.DISPATCH, task_steps.FOR_THE_WAY


def _is_method(row: dict[str, Any]) -> bool:
    return row["actor_id"] is not None and not is_creation(row["function"])


def _times(step: str, start: int, end: int) -> dict[str, Any]:
    return {"step": step, "start_ns": start, "end_ns": end, "duration_ns": end - start}


def _run_sentence(row: dict[str, Any]) -> str:
    message = (row["status_message"] or "").strip().splitlines() or [""]
    return task_steps.ran_without_a_span(
        row["attempt"],
        node_id=row["node_id"],
        pid=row["pid"],
        has_failed=row["status"] == "ERROR",
        message=message[0].rstrip(": "),
        is_over=row["end"] is not None,
    )
