"""What a whole table tells of spans whose records, and whose traces, leave something out."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import polars as pl

from raytrace_analyze.schema import TIME, Category
from raytrace_analyze.table.filled.begun import OF_CALLEE, Begun
from raytrace_analyze.table.parts import Told, distinct
from raytrace_analyze.values import frozen

OF_PROCESS = ("pid", "host", "node_id", "worker_id")
"""What a process has one of."""
_TELLS_OF_PROCESS = ("instance_id", "source", *OF_PROCESS)
_TASK = ["session", "task_id"]
_FILE = ["session", "source"]
_EVER = pl.lit(0, pl.Int64).cast(TIME)
_ID_OF_DRIVER = "f" * 40
"""How the id of a driver's own task begins, which never runs."""


class BegunParts(Protocol):
    """The spans of a table some whole traces at a time, as `table.parts.Parts` has records."""

    def __call__(self, ask: Callable[[Begun], Told]) -> Iterator[Told]:
        """Give what `ask` tells of each part, in the order of the parts."""


class ToldByPart(NamedTuple):
    """What a part tells of the whole, each line once."""

    lost: pl.DataFrame
    """Tasks that spans outside of their runs name."""
    processes: pl.DataFrame
    jobs: pl.DataFrame
    """Those that the spans of a file name."""
    wanted: pl.DataFrame
    """Files with spans that name none."""


@frozen
class Surroundings:
    """What the whole table tells."""

    tasks: pl.DataFrame
    """`session`, `task_id` of runs that spans outside them name as theirs, and their `function` and `actor_id`."""
    processes: pl.DataFrame
    """By `instance_id`, `source` and what spans there say of their process: the same filled, as `filled_...`."""
    drivers: pl.Series
    """Worker ids of drivers."""
    jobs: pl.DataFrame
    """By `session` and `source`, in order of `start`: `found`, the job then."""


def find_surroundings(told: Sequence[ToldByPart], parts: BegunParts) -> Surroundings:
    """Put together what `told_by` gives of each part; goes through them once more each for what single spans tell."""
    lost, processes, jobs, wanted = (distinct(found) for found in zip(*told, strict=True))
    filled = _filled(processes)
    drivers = filled.filter("is_driver").get_column("filled_worker_id").drop_nulls().unique()
    return Surroundings(_tasks(parts, lost), filled.drop("is_driver").unique(), drivers, _jobs(parts, jobs, wanted))


def is_lost() -> pl.Expr:
    """Tell which spans name a task that they are not within: in a thread the context is lost, the task's id is not."""
    is_submit = pl.col("category") == pl.lit("submit", Category)
    return pl.col("function").is_null() & pl.col("task_id").is_not_null() & ~is_submit


def told_by(begun: Begun) -> ToldByPart:
    """Give what a part tells of most."""
    spans = begun.spans
    is_driver = pl.col("category") == pl.lit("driver", Category)
    lacks_job = pl.col("job_id").is_null()
    return ToldByPart(
        spans.filter(is_lost(), ~pl.col("task_id").str.starts_with(_ID_OF_DRIVER)).select(_TASK).unique(),
        spans.select(*_TELLS_OF_PROCESS, is_driver=is_driver).unique(),
        spans.filter(~lacks_job).select(*_FILE, "job_id").unique().drop_nulls(),
        spans.filter(lacks_job).select(_FILE).unique().drop_nulls(),
    )


def _filled(processes: pl.DataFrame) -> pl.DataFrame:
    """Fill what a process has one of from its other spans: those of its instance id, else of its file."""
    filled = processes
    for process in ("instance_id", "source"):
        for name in OF_PROCESS:
            filled = filled.with_columns(_fill_from_only_value(name, process))
    return processes.with_columns(filled.get_column(name).alias(f"filled_{name}") for name in OF_PROCESS)


def _fill_from_only_value(name: str, process: str) -> pl.Expr:
    """Fill nulls of a column with the one value it has in the process; leave them where there are several."""
    values = pl.col(name).drop_nulls()
    only = pl.when(values.n_unique().over(process) == 1).then(values.max().over(process))
    return pl.when(pl.col(process).is_not_null()).then(pl.coalesce(name, only)).otherwise(name).alias(name)


def _tasks(parts: BegunParts, lost: pl.DataFrame) -> pl.DataFrame:
    """Give what the runs of these tasks say of them."""
    if lost.is_empty():
        return lost.with_columns(pl.lit(None, pl.String).alias(name) for name in OF_CALLEE)
    runs = pl.concat(list(parts(partial(_runs_of, tasks=lost))))
    return runs.group_by(_TASK).agg(pl.col(OF_CALLEE).min())


def _runs_of(begun: Begun, tasks: pl.DataFrame) -> pl.DataFrame:
    return begun.spans.filter(pl.Series(begun.is_run)).select(*_TASK, *OF_CALLEE).join(tasks, on=_TASK, how="semi")


def _jobs(parts: BegunParts, jobs: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """Give the jobs of files in which a span lacks its own: one line where there is one job, else one a span."""
    here = jobs.join(wanted, on=_FILE, how="semi")
    several = here.filter(pl.len().over(_FILE) > 1).select(_FILE).unique()
    spans = list(parts(partial(_jobs_in, files=several))) if several.height else []
    one = here.join(several, on=_FILE, how="anti").select(*_FILE, start=_EVER, found="job_id")
    return pl.concat([one, *spans]).sort("start", "found")


def _jobs_in(begun: Begun, files: pl.DataFrame) -> pl.DataFrame:
    known = begun.spans.filter(pl.col("job_id").is_not_null())
    return known.select(*_FILE, "start", found="job_id").join(files, on=_FILE, how="semi")
