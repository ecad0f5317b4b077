"""Tasks that were submitted and never started: their submit is all that is recorded, and who was in the way."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.analyses.stuck.open_work import read_open
from raytrace_analyze.analyses.stuck.opened import Open
from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.serve import is_route
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.schema import Category
from raytrace_analyze.table.lineage import RowIds, flags
from raytrace_analyze.trace.scopes import find_job, find_runs
from raytrace_analyze.vocabulary.queues import Cause, Source
from raytrace_analyze.wording import task_steps

_CAUSES = {"dependency": Cause.DEPENDENCY, "actor": Cause.ACTOR_BUSY, "slot": Cause.NO_SLOT, "resource": Cause.NO_SLOT}
"""By the reason of an edge of open work."""


def never_started(trace: PreparedTrace, task: str, job: str | None) -> RowIds:
    """Give the submits (rows) of a task, by function, task id or span id, that no run followed; the earliest first.

    Raises UsageError for a job that is unknown or ambiguous.
    """
    structure = trace.structure
    # A request of Ray Serve is no task: what brings it to a replica is.
    is_pending = structure.is_submit & ~flags(is_route(structure.spans.get_column("name")))
    is_pending[structure.submit[structure.submit >= 0]] = False
    if job is not None:
        scopes = trace.scopes("jobs")
        is_pending &= scopes.of_row == find_job(scopes.keys, job)
    rows = np.flatnonzero(is_pending)
    as_runs = trace.spans[rows].with_columns(
        task_id=pl.col("submitted_task_id"), category=pl.lit("task").cast(Category)
    )
    try:
        found = rows[find_runs(as_runs, task).to_numpy()]
    except UsageError:
        return rows[:0]
    ordered: RowIds = found[np.argsort(structure.start[found], kind="stable")]
    return ordered


def waits_in_vain(
    trace: PreparedTrace, submit: int, *, since_ns: int | None = None, until_ns: int | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """Say what a task waited for that never started: until when (ns), and rows of `STEPS`.

    That is from its submit's end to the record's last time, unless told otherwise.
    """
    structure = trace.structure
    about = structure.spans.row(submit, named=True)
    end = int(structure.end.max()) if until_ns is None else until_ns
    since = int(structure.end[submit]) if since_ns is None else since_ns
    known = read_open(trace.spans, trace.attempts, though_over=True)
    return end, list(_steps(known, about, since, end))


def _steps(known: Open, about: dict[str, Any], since: int, end: int) -> Iterator[dict[str, Any]]:
    task = about["submitted_task_id"]
    blockers = [edge for edge in known.edges if edge.waiter == task]
    step = {
        "step": "queue",
        "start_ns": since,
        "end_ns": end,
        "duration_ns": end - since,
        "source": str(Source.SPANS),
        "function": about["function"],
        "task_id": task,
        "span_id": about["span_id"],
    }

    def told(cause: Cause, reason: str) -> dict[str, Any]:
        sentence = task_steps.waits_in_vain(about["function"], end - since, reason)
        return step | {"cause": str(cause), "sentence": sentence}

    if task in known.impossible:
        yield told(Cause.NO_SLOT, task_steps.for_a_node_with(known.impossible[task]))
        return
    if not blockers and (kept := known.kept_from(task)):
        yield told(Cause.PLACEMENT if task in known.in_group else Cause.NO_SLOT, f"for room: {kept}")
    elif not blockers and task in known.in_group:
        yield told(Cause.PLACEMENT, task_steps.FOR_ITS_GROUP)
    elif not blockers:
        yield told(Cause.UNKNOWN, task_steps.FOR_NOTHING_KNOWN)
    for edge in blockers[:1]:
        other = known.rows.get(edge.waited_for, {})
        yield told(
            Cause.PLACEMENT if task in known.in_group else _CAUSES[edge.reason],
            task_steps.for_another(edge.reason, other.get("function")),
        ) | {
            "holder_span_id": other.get("span_id"),
            "holder_function": other.get("function"),
        }
