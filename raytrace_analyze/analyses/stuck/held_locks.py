"""Who holds a lock that an actor keeps: it took it with a call, and has not given it back with another."""

import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from raytrace_analyze.names.awaited import TAKING
from raytrace_analyze.names.spans import creates_actor
from raytrace_analyze.values import frozen


@frozen
class Held:
    """Who took a lock last and did not give it back."""

    flow: str
    """Its task id; `driver JOB` for a driver."""
    function: str | None
    """None for a driver."""
    is_recorded: bool = False
    """Whether it is a call that goes on, and that the hook saw take it."""


_LET_GO = ("asyncio.", "threading.", "queue.")
_LOCKS = re.compile(r"[._](lock|acquire|reserve|borrow|checkout)(_|$)")
"""Names of methods that take something which others give back."""
_FLOW = pl.coalesce("task_id", pl.concat_str(pl.lit("driver "), "job_id"))
"""Who made a call."""


def is_taking(waits_in: str) -> bool:
    """Tell whether what a call waits in, and perhaps ` at PLACE`, takes a lock or a semaphore."""
    return waits_in.partition(" at ")[0].endswith(TAKING)


def asks_for_lock(waits_in: str, function: str | None) -> bool:
    """Tell whether a call waits for a lock: in one, or, by its name, for one that its actor makes of something else."""
    return is_taking(waits_in) or (waits_for_a_call(waits_in) and _LOCKS.search(function or "") is not None)


def waits_for_a_call(waits_in: str) -> bool:
    """Tell whether what a call waits in, and perhaps ` at PLACE`, goes on as another call lets it; a lock is not."""
    place = waits_in.partition(" at ")[0]
    return place.startswith(_LET_GO) and not place.endswith("sleep") and not is_taking(waits_in)


def holders(spans: pl.DataFrame, call: dict[str, Any], span_ids: list[str]) -> Iterator[Held]:
    """Say who holds what a call waits for (a row of the table), of which it is recorded which calls took it.

    Takes the spans (columns of `schema.TABLE`) and the ids of some in these calls. Of a call that has ended it is who
    made it.
    """
    of_session = pl.col("session").eq_missing(call["session"])
    tasks = spans.filter(of_session, pl.col("span_id").is_in(span_ids)).get_column("task_id").drop_nulls()
    runs = spans.filter(of_session, pl.col("category") == "task", pl.col("task_id").is_in(tasks.implode()))
    for run in runs.select("task_id", "function", "end").iter_rows(named=True):
        if run["end"] is None:
            yield Held(run["task_id"], run["function"], is_recorded=True)
            continue
        submits = spans.filter(pl.col("session").eq_missing(call["session"]), submitted_task_id=run["task_id"])
        made_by = submits.select(_FLOW).to_series()
        if len(made_by):
            yield Held(made_by[0], _function(spans, made_by[0]))


def held_by(spans: pl.DataFrame, call: dict[str, Any]) -> Held | None:
    """Say who holds what a call waits for, a run of a method that had not ended (a row of the table).

    Takes the spans (columns of `schema.TABLE`). The holder is who made the last call of the same method that has
    ended on the same actor, of those who have called none of the actor's other methods since: somebody else than who
    makes this call, if there is one, as an actor may keep several locks. None where that is nobody: a lock that
    something else has taken.
    """
    calls = spans.filter(
        pl.col("session").eq_missing(call["session"]),
        pl.col("category") == "task",
        pl.col("actor_id") == call["actor_id"],
        pl.col("end").is_not_null(),
        ~creates_actor(pl.col("function")),
    ).select("task_id", "function", end=pl.col("end").to_physical())  # ns, which Python's times do not hold
    submits = spans.filter(pl.col("session").eq_missing(call["session"]), pl.col("category") == "submit").select(
        by=_FLOW, task_id="submitted_task_id"
    )
    made = calls.join(submits, on="task_id", how="inner").sort("end")
    took = pl.col("function") == call["function"]
    last = made.group_by("by").agg(took=pl.col("end").filter(took).max(), other=pl.col("end").filter(~took).max())
    held = last.filter(pl.col("took") > pl.col("other").fill_null(0)).sort("took", "by")
    asker = submits.filter(task_id=call["task_id"]).get_column("by").implode()
    held = held.sort(pl.col("by").is_in(asker), descending=True, maintain_order=True)
    if held.is_empty():
        return None
    holder = held.item(-1, "by")
    return Held(holder, _function(spans, holder))


def _function(spans: pl.DataFrame, flow: str) -> str | None:
    names = spans.filter(category="task", task_id=flow).get_column("function")
    return names[0] if len(names) else None
