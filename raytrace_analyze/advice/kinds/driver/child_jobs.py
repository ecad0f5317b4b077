"""Other jobs of the cluster that ran while a driver waited for a process of its own: one that it started."""

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.names.attributes import ENTRYPOINT, told
from raytrace_analyze.table.lineage import Nanos
from raytrace_analyze.vocabulary.spans import SpanCategory

OTHER_PROCESSES = ("subprocess.", "os.wait", "os.system", "multiprocessing.")
"""What waits for a process of one's own: nobody knows how much CPU that takes."""


def job_within(facts: Facts, what: str, start: Nanos, end: Nanos) -> str | None:
    """Name the job (its program, or id) whose driver began and ended within the longest of some stretches.

    `what` is what the driver is idle in. None where that is no process, where there is no such job or several, or
    where it took less than half of the stretch.
    """
    if not what.startswith(OTHER_PROCESSES):
        return None
    longest = int(np.argmax(end - start))
    since, until = int(start[longest]), int(end[longest])
    drivers = facts.spans.filter(
        pl.col("session") == facts.job.scope.session,
        pl.col("category") == SpanCategory.DRIVER,
        pl.col("start").to_physical() >= since,
        pl.col("end").to_physical() <= until,
    )
    if drivers.height != 1:
        return None
    (took,) = drivers.select((pl.col("end") - pl.col("start")).dt.total_nanoseconds()).to_series()
    if 2 * took < until - since:
        return None
    (program,), (job,) = told(drivers.get_column("attributes"), ENTRYPOINT), drivers.get_column("job_id")
    return f"{program} (job {job})" if program else f"job {job}"
