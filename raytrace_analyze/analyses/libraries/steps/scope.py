"""The rows that an analysis of a job is about."""

import numpy as np

from raytrace_analyze.path.one_scope import longest
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.scopes import ScopeKey, find_job
from raytrace_analyze.values import frozen


@frozen
class JobRows:
    """A job and its spans."""

    key: ScopeKey
    rows: RowIds

    @property
    def id(self) -> str:
        """The job as `critical_path` takes it."""
        return self.key.chosen_by


def rows_of_job(trace: PreparedTrace, job: str | None) -> JobRows:
    """Give the rows of a job, by default of the one that took longest.

    Raises NoSpansError where there are no spans, UsageError for a job that is unknown or ambiguous.
    """
    scopes = trace.require_spans().scopes("jobs")
    number = longest(trace.scoped("jobs"), scopes.keys) if job is None else find_job(scopes.keys, job)
    return JobRows(scopes.keys[number], np.flatnonzero(scopes.of_row == number))
