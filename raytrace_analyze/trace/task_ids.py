"""The runs of tasks that waits and submits name by their ids."""

import numpy as np
import polars as pl

from raytrace_analyze.table.lineage import Hashes, RowIds, flags
from raytrace_analyze.values import frozen


@frozen
class Tasks:
    """Tasks as hashes of their ids: parallel arrays."""

    row: RowIds
    """The row that runs the task, or names it."""
    key: Hashes
    """A hash of session and id."""
    task: Hashes
    """A hash of the id alone."""

    @staticmethod
    def of(row: RowIds, task_id: pl.Series, mixed_session: Hashes) -> "Tasks":
        """Take the ids of some tasks; `mixed_session` is what `lineage.mixed_hash` gives for every row."""
        task = task_id.hash(2).to_numpy()
        return Tasks(row, mixed_session[row] ^ task, task)


def named_tasks(lists: pl.Series, mixed_session: Hashes) -> Tasks:
    """Give the tasks whose ids are listed, by the rows that list them; `lists` has one element a row of the table."""
    if lists.null_count() == len(lists):
        none = np.empty(0, dtype=np.uint64)
        return Tasks(np.empty(0, dtype=np.int64), none, none)
    listed = np.flatnonzero(flags(lists.list.len() > 0))
    named = pl.DataFrame({"row": listed, "task_id": lists.gather(listed)}).explode("task_id").drop_nulls()
    return Tasks.of(named.get_column("row").to_numpy(), named.get_column("task_id"), mixed_session)


def named_runs(wanted: Tasks, runs: Tasks) -> tuple[RowIds, RowIds]:
    """Pair the rows that name tasks with the runs of those tasks."""
    if wanted.row.size == 0:
        return wanted.row, wanted.row
    # Joining hashes takes half the time of joining strings; both being equal tells chance hits apart.
    keys = pl.DataFrame({"key": wanted.key, "at": np.arange(wanted.row.size)})
    found = keys.join(pl.DataFrame({"key": runs.key, "task": np.arange(runs.row.size)}), on="key")
    at, task = found.get_column("at").to_numpy(), found.get_column("task").to_numpy()
    same = wanted.task[at] == runs.task[task]
    return wanted.row[at[same]], runs.row[task[same]]
