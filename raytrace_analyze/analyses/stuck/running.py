"""What runs when the record ends: every run and driver that had not ended, since when, and what it is in."""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.stuck.hang import Hang, hang
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import ScopeKind

RUNNING = pl.Schema(
    {
        "function": pl.String,
        "task_id": pl.String,
        "span_id": pl.String,
        "pid": pl.Int64,
        "node_id": pl.String,
        "host": pl.String,
        "since_ns": pl.Int64,
        "within": pl.String,
        "within_since_ns": pl.Int64,
    }
)
"""Columns of `Running.runs`: one row a run, or a driver (`(driver)`), that had not ended, the longest first.
`within` is the innermost open span in it, such as `ray.get`, null for none. Times are ns since the epoch."""


@frozen
class Running:
    """A job as far as its record goes."""

    runs: pl.DataFrame
    """Columns of `RUNNING`."""
    waits: Hang
    """Who waits for whom in it."""
    path: CriticalPath
    """The critical path so far."""
    last_ns: int
    """The latest time in the record of the job (ns since the epoch)."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing is open any more."""
        return self.runs.is_empty()


def running(spans: Trace, *, job: str | None = None) -> Running:
    """Tell of a job what runs in it when the record ends, what waits for what, and the critical path so far.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one; `job` as in `critical_path`, by
    default the job in which something started last. Raises NoSpansError, UsageError as that does.
    """
    prepared = prepare(spans).require_spans()
    wanted = job if job is not None else _latest(prepared.spans)
    path = critical_path(prepared, job=wanted)
    found = _open_runs(prepared)
    of_job = pl.col("session").eq_missing(pl.lit(path.scope.session))
    if path.scope.kind == ScopeKind.JOB:
        of_job &= pl.col("job_id").eq_missing(pl.lit(path.scope.id))
    last = prepared.spans.filter(of_job).select(pl.max_horizontal(pl.col("start", "end").to_physical()).max()).item()
    runs = found.filter(of_job).sort("since_ns", "span_id").select(RUNNING.names())
    return Running(runs, hang(prepared, wanted), path, int(last or 0))


def _latest(spans: pl.DataFrame) -> str | None:
    """Name the job that started something last."""
    last = spans.filter(pl.col("job_id").is_not_null()).sort("start").tail(1)
    return None if last.is_empty() else f"{last['session'][0]}/{last['job_id'][0]}"


def _open_runs(prepared: PreparedTrace) -> pl.DataFrame:
    spans, parent = prepared.spans, prepared.structure.parent
    is_open = spans.get_column("end").is_null().to_numpy()
    category = spans.get_column("category").cast(pl.String)
    is_run = is_open & category.is_in(["task", "driver"]).to_numpy()
    within = _innermost(parent, is_open, is_run, spans.get_column("start").to_physical().to_numpy())
    inner = pl.Series(np.where(within >= 0, within, 0))
    rows = spans.with_columns(
        function=pl.when(category == "driver").then(pl.lit("(driver)")).otherwise("function"),
        since_ns=pl.col("start").to_physical(),
        within=pl.when(pl.Series(within >= 0)).then(pl.col("name").gather(inner)),
        within_since_ns=pl.when(pl.Series(within >= 0)).then(pl.col("start").to_physical().gather(inner)),
    )
    return rows.filter(pl.Series(is_run)).select(*RUNNING.names(), "session", "job_id")


def _innermost(parent: RowIds, is_open: Flags, is_run: Flags, start: RowIds) -> RowIds:
    """Give by run the open span deepest in it that is no run itself (the one that started last), -1 for none."""
    inner = np.flatnonzero(is_open & ~is_run)
    found = np.full(parent.size, -1, dtype=np.int64)
    above = parent[inner]
    while inner.size:
        inner, above = inner[above >= 0], above[above >= 0]
        there = is_run[above]
        for row, run in zip(inner[there].tolist(), above[there].tolist(), strict=True):
            if found[run] < 0 or start[row] > start[found[run]]:
                found[run] = row
        inner, above = inner[~there], parent[above[~there]]
    return found
