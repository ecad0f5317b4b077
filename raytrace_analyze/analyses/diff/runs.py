"""One side of a comparison: its runs, what each had on its critical path, and what its tasks took."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from raytrace_analyze.choices import as_name
from raytrace_analyze.errors import NoSpansError, UsageError
from raytrace_analyze.names.attributes import entrypoint
from raytrace_analyze.path.all_scopes import paths_of
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.text.closest import did_you_mean
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import ScopeKind

RUNS = pl.Schema(
    {
        "run": pl.Int64,
        "session": pl.String,
        "job_id": pl.String,
        "entrypoint": pl.String,
        "makespan_ns": pl.Int64,
        "in_flight": pl.Int64,
        "driver_failed": pl.Boolean,
        "records_waits": pl.Boolean,
    }
)
"""Columns of `RunGroup.about`: `run` counts from 0; `in_flight` is how many spans never ended."""

KEY = ("function", "category", "cause")
PATH = pl.Schema(
    {"run": pl.Int64, "function": pl.String, "category": pl.String, "cause": pl.String}
    | {"path_ns": pl.Int64, "task_runs": pl.Int64}
)
"""Columns of `RunGroup.path`: `task_runs` is how many different tasks the time is of, where it is running time."""

TASKS = pl.Schema({"run": pl.Int64, "function": pl.String, "run_ns": pl.Int64})
"""Columns of `RunGroup.tasks`: `run_ns` is null for a task that never ended."""


_TOLD = ("category", "status", "function", "start", "end", "records_waits", "attributes")
"""What spans tell of their run."""


@frozen
class RunGroup:
    """The runs of one side."""

    about: pl.DataFrame
    """One row a run: columns of `RUNS`."""
    path: pl.DataFrame
    """What each run had on its critical path, summed: columns of `PATH`."""
    tasks: pl.DataFrame
    """One row a task run: columns of `TASKS`."""


def collect_runs(
    traces: Sequence[PreparedTrace],
    *,
    side: str,
    job: str | None,
    options: PathOptions,
) -> RunGroup:
    """Take every job of every trace as one run; where one knows no jobs, its sessions.

    `job` (`ID` or `SESSION/ID`, both may be cut short) keeps those it fits; unlike elsewhere it may fit several.
    Raises NoSpansError where there are no spans, UsageError where no job fits.
    """
    job = None if job is None else as_name(job, "job")
    found = [_of_trace(trace, job, options) for trace in traces if trace.spans.height]
    if not found:
        raise NoSpansError(f"there are no spans to compare in {side}")
    parts = _numbered(found)
    if parts.about.is_empty():
        known = [name for trace in traces for name in _names(trace)]
        meant = did_you_mean(job or "", known)
        raise UsageError(f"no job {job!r} in {side}{meant}; there is {', '.join(known[:8])}{' ...' * (len(known) > 8)}")
    return parts


def _of_trace(trace: PreparedTrace, job: str | None, options: PathOptions) -> RunGroup:
    scope_of, keys = trace.scopes("jobs").of_row, trace.scopes("jobs").keys
    has_jobs = any(key.kind == ScopeKind.JOB for key in keys)
    wanted = [
        number
        for number, key in enumerate(keys)
        if (key.kind == ScopeKind.JOB or not has_jobs) and (job is None or _fits(key.session, key.id, job))
    ]
    runs = pl.DataFrame(
        {
            "run": range(len(wanted)),
            "session": [keys[number].session for number in wanted],
            "job_id": [keys[number].id for number in wanted],
        },
        schema={"run": pl.Int64, "session": pl.String, "job_id": pl.String},
    )
    run_of = np.full(len(keys) + 1, -1, dtype=np.int64)
    run_of[wanted] = np.arange(len(wanted))
    numbered = trace.spans.select(_TOLD, run=pl.Series(run_of[scope_of])).filter(pl.col("run") >= 0)
    path = (
        paths_of(trace, "jobs", options)
        .rename({"scope": "job_id"})
        .join(runs.select("run", "session", "job_id"), on=["session", "job_id"], how="inner", nulls_equal=True)
    )
    return RunGroup(_about(runs, numbered, path), _path(path), _tasks(numbered))


def _fits(session: str, job_id: str, wanted: str) -> bool:
    of_session, _, of_job = wanted.rpartition("/")
    return job_id.startswith(of_job) and session.startswith(of_session)


def _about(runs: pl.DataFrame, spans: pl.DataFrame, path: pl.DataFrame) -> pl.DataFrame:
    is_driver = pl.col("category") == "driver"
    programs = spans.filter(is_driver).group_by("run", maintain_order=True).agg(entrypoint=entrypoint())
    facts = spans.group_by("run").agg(
        in_flight=pl.col("end").is_null().sum().cast(pl.Int64),
        driver_failed=(is_driver & (pl.col("status") == "ERROR")).any(),
        records_waits=pl.col("records_waits").fill_null(False).any(),
    )
    # Segments tile the makespan; a run without any took no time.
    makespans = path.group_by("run").agg(makespan_ns=pl.col("duration_ns").sum())
    return (
        runs.join(facts, on="run", how="left")
        .join(programs, on="run", how="left")
        .join(makespans, on="run", how="left")
        .with_columns(pl.col("makespan_ns").fill_null(0))
        .sort("run")
        .select(pl.col(name).cast(dtype) for name, dtype in RUNS.items())
    )


def _path(segments: pl.DataFrame) -> pl.DataFrame:
    return (
        segments.group_by("run", *KEY)
        .agg(
            path_ns=pl.col("duration_ns").sum(),
            task_runs=pl.col("task_id").filter(pl.col("category") == "self").drop_nulls().n_unique().cast(pl.Int64),
        )
        .sort("run", *KEY)
        .select(list(PATH))
    )


def _tasks(spans: pl.DataFrame) -> pl.DataFrame:
    return spans.filter(pl.col("category") == "task").select(
        "run", "function", run_ns=(pl.col("end") - pl.col("start")).dt.total_nanoseconds()
    )


def _numbered(tables: Sequence[RunGroup]) -> RunGroup:
    """Put the runs of several tables behind each other."""
    shifted: list[tuple[pl.DataFrame, ...]] = []
    first = 0
    for runs in tables:
        shifted.append(
            tuple(frame.with_columns(pl.col("run") + first) for frame in (runs.about, runs.path, runs.tasks))
        )
        first += runs.about.height
    about, path, tasks = (pl.concat(frames) for frames in zip(*shifted, strict=True))
    return RunGroup(about, path, tasks)


def _names(trace: PreparedTrace) -> list[str]:
    keys = trace.scopes("jobs").keys if trace.spans.height else []
    return [key.chosen_by for key in keys]
