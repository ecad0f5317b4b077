"""Tasks that were submitted and never started: their submit is all that is recorded, and who was in the way."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.analyses.open_work import Open, read_open
from raytrace_analyze.errors import UsageError
from raytrace_analyze.function_names import name_of
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.schema import Category
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.scopes import find_job, find_runs
from raytrace_analyze.units import duration_text
from raytrace_analyze.vocabulary import Cause, Source

_REASONS = {
    "dependency": (Cause.DEPENDENCY, "for the result of {other}, which is not over"),
    "actor": (Cause.ACTOR_BUSY, "for its actor, which runs {other}"),
    "slot": (Cause.NO_SLOT, "for a free slot, which {other} may hold"),
}
_UNKNOWN = (Cause.DISPATCH, "and nothing recorded says for what")
_IMPOSSIBLE = (Cause.NO_SLOT, "for a node that has what it asks for, and there is none ({demand})")


def never_started(trace: PreparedTrace, task: str, job: str | None) -> RowIds:
    """Give the submits (rows) of a task, by function, task id or span id, that no run followed; the earliest first.

    Raises UsageError for a job that is unknown or ambiguous.
    """
    structure = trace.structure
    is_pending = structure.is_submit.copy()
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


def waits_in_vain(trace: PreparedTrace, submit: int) -> tuple[int, list[dict[str, Any]]]:
    """Say what a task waited for that never started: the record's last time (ns), and rows of `STEPS`."""
    structure = trace.structure
    about = structure.spans.row(submit, named=True)
    end = int(structure.end.max())
    known = read_open(trace.spans)
    return end, list(_steps(known, about, int(structure.end[submit]), end))


def _steps(known: Open, about: dict[str, Any], since: int, end: int) -> Iterator[dict[str, Any]]:
    task = about["submitted_task_id"]
    blockers = [edge for edge in known.edges if edge.waiter == task]
    waited = f"{name_of(about['function'])} had waited {duration_text(end - since)} when the record ends,"
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
    if task in known.impossible:
        cause, why = _IMPOSSIBLE
        yield step | {"cause": str(cause), "sentence": f"{waited} {why.format(demand=known.impossible[task])}"}
        return
    if not blockers:
        cause, why = _UNKNOWN
        yield step | {"cause": str(cause), "sentence": f"{waited} {why}"}
    for edge in blockers[:1]:
        other = known.rows.get(edge.waited_for, {})
        cause, why = _REASONS[edge.reason]
        yield step | {
            "cause": str(cause),
            "sentence": f"{waited} {why.format(other=name_of(other.get('function')))}",
            "holder_span_id": other.get("span_id"),
            "holder_function": other.get("function"),
        }
