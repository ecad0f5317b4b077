"""Who called an actor last, where a call of that waits for what another one has to give: an item, an event."""

from typing import Any

import polars as pl

from raytrace_analyze.names.spans import creates_actor
from raytrace_analyze.path.error_origin import first_line
from raytrace_analyze.values import frozen

_RAYS_OWN = "__ray_"


@frozen
class LastCaller:
    """The task that called another method of an actor last, and is over."""

    function: str
    method: str
    """Which method that was."""
    failed_with: str | None
    """What it failed with, in a line; None where it did not fail."""


def last_caller(spans: pl.DataFrame, call: dict[str, Any]) -> LastCaller | None:
    """Say who called another method last on the actor of a call that had not ended (a row of the table).

    Takes the spans (columns of `schema.TABLE`). None where that is a driver, or a task that is not over: it may call
    again.
    """
    in_session = pl.col("session").eq_missing(call["session"])
    method = pl.col("function")
    calls = spans.filter(
        in_session,
        pl.col("category") == "task",
        pl.col("actor_id") == call["actor_id"],
        pl.col("end").is_not_null(),
        method != call["function"],
        ~creates_actor(method),
        ~method.str.contains(f".{_RAYS_OWN}", literal=True),
    ).select("task_id", method="function", end=pl.col("end").to_physical())
    submits = spans.filter(in_session, pl.col("category") == "submit").select(by="task_id", task_id="submitted_task_id")
    made = calls.join(submits, on="task_id", how="inner").sort("end")
    if made.is_empty() or made.item(-1, "by") is None:
        return None
    runs = spans.filter(in_session, pl.col("category") == "task", pl.col("task_id") == made.item(-1, "by"))
    if runs.is_empty() or runs.get_column("end").null_count():
        return None
    last = runs.sort("start").row(-1, named=True)
    text = first_line(last["status_message"]) if last["status"] == "ERROR" else None
    return LastCaller(last["function"] or "", made.item(-1, "method"), text)
