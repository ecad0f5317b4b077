"""Tasks that were tried in vain, and wait to be tried again when the record ends."""

from collections.abc import Iterator

import polars as pl

from raytrace_analyze.path.outcome import error_name
from raytrace_analyze.values import frozen


@frozen
class Tried:
    """How often a task was tried in vain, and with what the last attempt failed."""

    attempts: int
    failed_with: str
    needs: str | None
    """What it, or the actor that it is to run on, asks for, as JSON; None where that is nothing or not known."""
    on_actor: bool


def tried_in_vain(runs: pl.DataFrame, attempts: pl.DataFrame) -> Iterator[tuple[str, int, str]]:
    """Find the tasks all of whose attempts failed, but for one that waits to start, as Ray says.

    `runs` are the runs that left spans, `attempts` those that only task events know (columns of `schema.TABLE`). Gives
    the task's id, how many attempts failed, and with what the last of them did.
    """
    columns = ["session", "task_id", "attempt", "end", "status", "status_message", "error_type", "state_running"]
    tried = pl.concat([runs.select(columns), attempts.select(columns)])
    waiting = pl.col("end").is_null() & pl.col("state_running").is_null()
    has_failed = pl.col("end").is_not_null() & (pl.col("status").cast(pl.String) == "ERROR")
    told = pl.coalesce("error_type", error_name(), pl.lit("an error"))
    tasks = (
        tried.sort("attempt", nulls_last=False)
        .group_by("session", "task_id", maintain_order=True)
        .agg(
            all=(waiting | has_failed).all() & waiting.any(),
            count=has_failed.sum(),
            error=told.filter(has_failed).last(),
        )
        .filter("all", pl.col("count") > 0)
    )
    yield from tasks.select("task_id", "count", "error").iter_rows()
