"""The critical path of a scope, from the span table."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.attributes import entrypoint
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.path.all_scopes import find_segments, stepper_of
from raytrace_analyze.path.options import SLOT_WITHIN_NS, PathOptions, path_options
from raytrace_analyze.path.outcome import how_a_run_ended, how_it_ended
from raytrace_analyze.path.result import CriticalPath, Scope
from raytrace_analyze.path.segments import (
    Segments,
    columns_frame,
    cut_before,
    segments_of_paths,
    split_queues,
    tell_activities,
)
from raytrace_analyze.path.walk.chains import Chains
from raytrace_analyze.path.walk.late_submissions import late_submissions
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.sampled.imports import imported_ns
from raytrace_analyze.sampled.samples import read_samples, sampled_above
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.busy_time import work_ns
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.scopes import ScopeKey, find_job, find_request, find_runs, find_trace
from raytrace_analyze.vocabulary.paths import Activity, ScopeKind
from raytrace_analyze.wording.clocks import clock_notes
from raytrace_analyze.wording.paths import longest_of_jobs, slowest_of_runs, span_notes


def critical_path(
    spans: Trace,
    task_events: pl.DataFrame | None = None,
    *,
    job: str | None = None,
    trace: str | None = None,
    task: str | None = None,
    request: str | None = None,
    queues: str = "follow",
    infer: bool = True,
    infer_within_ns: int = SLOT_WITHIN_NS,
    clock_correct: bool = True,
    overlap_tolerance: float = 0.0,
    options: PathOptions | None = None,
) -> CriticalPath:
    """Find the chain of tasks, waits and queues that decided how long a scope took.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one, and at most one scope: a `job` (`ID`
    or `SESSION/ID`), a `trace` id, a `request` of Ray Serve (its id), or a `task` (a function, task id or span id; of
    several runs the slowest from submit to end). Without one, the job with the longest makespan; where no job ids are
    known, the session. What Ray's task events say in the rows tells best what the queues on the path were for; without
    it the spans do. (`task_events`: as version 0.1.0 gave them beside the spans; they are put into the rows first.)

    `queues`: `follow` goes on through what held the actor or the slot, `show` keeps that as a queue segment.
    `infer` fills in joins and predecessors where the hook recorded no waits; a task's predecessor ended at most
    `infer_within_ns` before it started. `clock_correct` first shifts the times of hosts whose clocks are proven to be
    off (see `clock_offsets`). With an `overlap_tolerance` (a part of the parent's length, such as 0.01) a sibling that
    ended so little after the next one began is on the path too; the overlap counts once. The rules are those of the
    docs' "How the path is computed". In place of `queues`, `infer`, `infer_within_ns` and `overlap_tolerance` one value
    can be given: `options`. `clock_correct` says nothing of a trace that is prepared already.

    Raises NoSpansError for an empty table, UsageError for a scope that is unknown or ambiguous.
    """
    if sum(scope is not None for scope in (job, trace, task, request)) > 1:
        raise UsageError("give one scope: a job, a trace, a request or a task")
    prepared = prepare(spans, task_events, clock_correct=clock_correct).require_spans()
    options = path_options(options, queues, infer, infer_within_ns, overlap_tolerance)
    of_scope = (job, trace, request)
    path = _of_task(prepared, options, task) if task is not None else _of_scope(prepared, options, *of_scope)
    return replace(path, notes=(*path.notes, *clock_notes(prepared.offsets, path.scope.session)))


def _of_scope(
    trace: PreparedTrace, options: PathOptions, job: str | None, trace_id: str | None, request: str | None
) -> CriticalPath:
    """The path of a job, by default the longest, of a trace or of a request."""
    kind = "requests" if request is not None else "jobs" if trace_id is None else "traces"
    keys, scoped, structure = trace.scopes(kind).keys, trace.scoped(kind), trace.structure
    notes = []
    if request is not None:
        number = find_request(keys, request)
    elif trace_id is not None:
        number = find_trace(keys, trace_id)
    elif job is not None:
        number = find_job(keys, job)
    else:
        number = longest(scoped, keys)
        if len(keys) > 1:
            notes.append(longest_of_jobs(len(keys)))
    segments = next(find_segments(trace, scoped, options, np.array([number])))
    root = scoped.root(number)
    inside = np.flatnonzero(trace.scopes(kind).of_row == number)
    within = structure.spans if inside.size == structure.spans.height else structure.spans[inside]
    return _path(
        trace,
        scoped,
        segments,
        scope=describe(within, keys[number]),
        start_ns=int(scoped.start[root]),
        end_ns=int(scoped.end[root]),
        work_ns=work_ns(structure, inside, int(scoped.end[root])),
        runs=int(structure.is_run[inside].sum()),
        ended=how_it_ended(within, attempts_of(trace, keys[number]), driver_ends=trace_id is None),
        notes=(*notes, *_notes(scoped, inside)),
    )


def _path(trace: PreparedTrace, scoped: Scoped, segments: Segments, **about: Any) -> CriticalPath:
    split, places = tell_activities(split_queues(segments, trace.rules), trace)
    frame, rows = columns_frame(split, scoped, places), np.where(split.row < scoped.span_count, split.row, -1)
    return CriticalPath(
        segments=frame,
        rows=rows,
        spans=trace.spans,
        parents=trace.structure.parent,
        driver_imports_ns=_driver_imports_ns(trace, frame, rows),
        **about,
    )


def _driver_imports_ns(trace: PreparedTrace, segments: pl.DataFrame, rows: RowIds) -> int:
    """Sum up for how long the driver imports modules in its own time in some segments, of the spans in `rows`."""
    works = (pl.col("function") == DRIVER) & (pl.col("activity") == Activity.CPU)
    found = segments.select("start_ns", "end_ns", row=pl.Series(rows), works=works).filter("works", pl.col("row") >= 0)
    drivers = sampled_above(trace.structure, np.unique(found.get_column("row").to_numpy()))
    sampled = read_samples(trace.structure, trace.clock_shift, np.unique(drivers[drivers >= 0]))
    attributes = trace.spans.get_column("attributes")
    start, end = (found.get_column(name).to_numpy() for name in ("start_ns", "end_ns"))
    return sum(int(imported_ns([seen], attributes[row], start, end).sum()) for row, seen in sampled.items())


def attempts_of(trace: PreparedTrace, key: ScopeKey) -> pl.DataFrame:
    """Give the attempts without a span that belong to a scope."""
    if key.kind == ScopeKind.TRACE:
        return trace.attempts.filter(pl.col("trace_id") == key.id)
    job = pl.col("job_id") == key.id if key.kind == ScopeKind.JOB else pl.col("job_id").is_null()
    return trace.attempts.filter(pl.col("session").eq_missing(pl.lit(key.session, pl.String)), job)


def longest(scoped: Scoped, keys: list[ScopeKey]) -> int:
    """Give the number of the scope with the longest makespan; jobs come before spans without a job."""
    first_root = scoped.span_count
    makespan = scoped.end[first_root:] - scoped.start[first_root:]
    is_job = np.array([key.kind != ScopeKind.SESSION for key in keys])
    return int(np.lexsort((-np.arange(len(keys)), makespan, is_job))[-1])


def describe(spans: pl.DataFrame, key: ScopeKey) -> Scope:
    """Name a scope as a person would: by its program, else by the span that lasted longest from its roots."""
    if key.kind not in (ScopeKind.TRACE, ScopeKind.REQUEST):
        return Scope(key.kind, key.id, spans.select(entrypoint()).item() or "", key.session)
    roots = spans.filter(pl.col("parent_id").is_null())
    first = (roots if roots.height else spans).sort("start", "span_id").get_column("name")[0]
    return Scope(key.kind, key.id, first, key.session)


def _of_task(trace: PreparedTrace, options: PathOptions, task: str) -> CriticalPath:
    """The path of one run, from its submit; of several runs, of the slowest."""
    scoped, structure = trace.scoped("jobs"), trace.structure
    runs = find_runs(structure.spans, task).to_numpy().astype(np.int64)
    submit = scoped.parent[runs]
    since = np.where(submit >= 0, scoped.start[submit], scoped.start[runs])
    slowest = int(np.lexsort((structure.id_ranks(runs), scoped.end[runs] - since))[-1])
    run, start = int(runs[slowest]), int(min(since[slowest], scoped.end[runs[slowest]]))
    about = structure.spans.row(run, named=True)
    notes: tuple[str, ...] = ()
    if runs.size > 1:
        notes = (slowest_of_runs(runs.size),)
    scope, begin = scoped.scope_of[[run]], np.array([run])
    chains = Chains(stepper_of(trace, scoped, options), scope)
    paths = chains.follow(scope, begin, scoped.end[begin], floor=start)
    return _path(
        trace,
        scoped,
        cut_before(segments_of_paths(paths, structure), start),
        scope=Scope(
            str(ScopeKind.TASK),
            about["task_id"] or about["span_id"],
            about["function"] or about["name"],
            about["session"],
        ),
        start_ns=start,
        end_ns=int(scoped.end[run]),
        work_ns=work_ns(structure, np.array([run])),
        runs=1,
        ended=how_a_run_ended(structure.spans[[run]], bool(structure.in_flight[run])),
        notes=notes,
    )


def _notes(scoped: Scoped, rows: RowIds) -> tuple[str, ...]:
    structure = scoped.structure
    return span_notes(
        detached=int((scoped.detached[rows] & ~late_submissions(scoped)[rows]).sum()),
        in_flight=int(structure.in_flight[rows].sum()),
        circles=int(np.isin(structure.circles, rows).sum()),
    )
