"""Tasks that Ray had given to a process when the record ends, and that had not begun there."""

from collections.abc import Iterator

import polars as pl

from raytrace_analyze.values import frozen


@frozen
class Given:
    """When Ray gave a task to a process, by its own word, and to which."""

    pid: int | None
    given_ns: int
    ago_ns: int
    """How long before the record ends."""


def given_to_processes(spans: pl.DataFrame, attempts: pl.DataFrame) -> Iterator[tuple[str, Given]]:
    """Find the tasks that have an attempt (columns of `schema.TABLE`) which runs, as Ray says, and left no span yet.

    Before its function begins a process loads the code of that, and what it imports.
    """
    ends = spans.select(pl.max_horizontal(pl.col("start", "end").to_physical()).max()).item()
    given = pl.coalesce("state_submitted_to_worker", "state_running").to_physical()
    found = attempts.filter(pl.col("end").is_null(), pl.col("state_running").is_not_null()).sort("attempt")
    for task, pid, since in found.select("task_id", "pid", given).iter_rows():
        yield task, Given(pid, since, max(int(ends or since) - since, 0))
