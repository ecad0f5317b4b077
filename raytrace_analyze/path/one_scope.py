"""The critical path of a scope, from the span table."""

from dataclasses import replace

import numpy as np
import polars as pl

from raytrace_analyze.clocks.correction import build_corrected, clock_notes
from raytrace_analyze.errors import NoSpansError, UsageError
from raytrace_analyze.path.all_scopes import find_segments, parse_queues, slot_waits
from raytrace_analyze.path.chains import Chains
from raytrace_analyze.path.predecessors import SLOT_WITHIN_NS, Options
from raytrace_analyze.path.result import CriticalPath, Scope
from raytrace_analyze.path.segments import columns_frame, cut_before, segments_of_paths, split_queues
from raytrace_analyze.path.step import Stepper
from raytrace_analyze.queueing.rules import CauseRules
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.busy_time import work_ns
from raytrace_analyze.trace.clipping import Scoped, scope_spans
from raytrace_analyze.trace.relations import relate_runs
from raytrace_analyze.trace.scopes import ScopeKey, find_job, find_runs, find_trace, number_scopes
from raytrace_analyze.units import count_text


def critical_path(
    spans: pl.DataFrame,
    task_events: pl.DataFrame | None = None,
    *,
    job: str | None = None,
    trace: str | None = None,
    task: str | None = None,
    queues: str = "follow",
    infer: bool = True,
    infer_within_ns: int = SLOT_WITHIN_NS,
    clock_correct: bool = True,
    overlap_tolerance: float = 0.0,
) -> CriticalPath:
    """Find the chain of tasks, waits and queues that decided how long a scope took.

    Takes a span table (columns of `schema.TABLE`) and at most one scope: a `job` (`ID` or `SESSION/ID`), a `trace`
    id, or a `task` (a function, task id or span id; of several runs the slowest from submit to end). Without one,
    the job with the longest makespan; where no job ids are known, the session. Ray's `task_events` (as `load` gives
    them) tell best what the queues on the path were for; without them the spans do.

    `queues`: `follow` goes on through what held the actor or the slot, `show` keeps that as a queue segment.
    `infer` fills in joins and predecessors where the hook recorded no waits; a task's predecessor ended at most
    `infer_within_ns` before it started. `clock_correct` first shifts the times of hosts whose clocks are proven to be
    off (see `clock_offsets`). With an `overlap_tolerance` (a part of the parent's length, such as 0.01) a sibling that
    ended so little after the next one began is on the path too; the overlap counts once. The rules are those of the
    docs' "How the path is computed".

    Raises NoSpansError for an empty table, UsageError for a scope that is unknown or ambiguous.
    """
    if spans.is_empty():
        raise NoSpansError("there are no spans to analyse")
    if sum(scope is not None for scope in (job, trace, task)) > 1:
        raise UsageError("give one scope: a job, a trace or a task")
    structure, offsets = build_corrected(spans, clock_correct=clock_correct)
    as_recorded, spans = spans, structure.spans
    scope_of, keys = number_scopes(spans, "traces" if trace is not None else "jobs")
    scoped = scope_spans(structure, scope_of, len(keys))
    runs = relate_runs(structure)
    rules = CauseRules(structure, runs, task_events, as_recorded)
    options = Options(parse_queues(queues), infer, infer_within_ns, overlap_tolerance)
    slots = slot_waits(rules)
    if task is not None:
        path = _of_task(Stepper(scoped, runs, options, slots), rules, find_runs(spans, task))
        return replace(path, notes=(*path.notes, *clock_notes(offsets, path.scope.session)))
    notes = []
    if trace is not None:
        number = find_trace(keys, trace)
    elif job is not None:
        number = find_job(keys, job)
    else:
        number = longest(scoped, keys)
        if len(keys) > 1:
            notes.append(f"of {count_text(len(keys), 'job')} in these spans, this one took longest")
    segments = next(find_segments(scoped, runs, options, slots, np.array([number])))
    root = scoped.root(number)
    inside = np.flatnonzero(scope_of == number)
    return CriticalPath(
        scope=describe(spans[inside], keys[number]),
        start_ns=int(scoped.start[root]),
        end_ns=int(scoped.end[root]),
        segments=columns_frame(split_queues(segments, rules), scoped),
        work_ns=work_ns(structure, inside),
        runs=int(structure.is_run[inside].sum()),
        notes=(*notes, *_notes(scoped, inside), *clock_notes(offsets, keys[number].session)),
    )


def longest(scoped: Scoped, keys: list[ScopeKey]) -> int:
    """Give the number of the scope with the longest makespan; jobs come before spans without a job."""
    first_root = scoped.span_count
    makespan = scoped.end[first_root:] - scoped.start[first_root:]
    is_job = np.array([key.kind != "session" for key in keys])
    return int(np.lexsort((-np.arange(len(keys)), makespan, is_job))[-1])


def describe(spans: pl.DataFrame, key: ScopeKey) -> Scope:
    """Name a scope as a person would: by its program, else by the span that lasted longest from its roots."""
    entrypoint = (
        spans.filter(pl.col("category") == "driver")
        .get_column("attributes")
        .str.json_path_match("$['raytrace.entrypoint']")
        .drop_nulls()
    )
    if key.kind != "trace":
        return Scope(key.kind, key.id, entrypoint[0] if len(entrypoint) else "", key.session)
    roots = spans.filter(pl.col("parent_id").is_null())
    first = (roots if roots.height else spans).sort("start", "span_id").get_column("name")[0]
    return Scope("trace", key.id, first, key.session)


def _of_task(stepper: Stepper, rules: CauseRules, rows: pl.Series) -> CriticalPath:
    """The path of one run, from its submit; of several runs, of the slowest."""
    scoped, structure = stepper.scoped, stepper.structure
    runs = rows.to_numpy().astype(np.int64)
    submit = scoped.parent[runs]
    since = np.where(submit >= 0, scoped.start[submit], scoped.start[runs])
    slowest = int(np.lexsort((structure.id_ranks(runs), scoped.end[runs] - since))[-1])
    run, start = int(runs[slowest]), int(min(since[slowest], scoped.end[runs[slowest]]))
    about = structure.spans.row(run, named=True)
    notes: tuple[str, ...] = ()
    if runs.size > 1:
        notes = (f"of {count_text(runs.size, 'run')} of this task, this is the slowest from submit to end",)
    scope, begin = scoped.scope_of[[run]], np.array([run])
    paths = Chains(stepper, scope).follow(scope, begin, scoped.end[begin], floor=start)
    segments = cut_before(segments_of_paths(paths, structure), start)
    return CriticalPath(
        scope=Scope("task", about["task_id"] or about["span_id"], about["function"] or about["name"], about["session"]),
        start_ns=start,
        end_ns=int(scoped.end[run]),
        segments=columns_frame(split_queues(segments, rules), scoped),
        work_ns=work_ns(structure, np.array([run])),
        runs=1,
        notes=notes,
    )


def _notes(scoped: Scoped, rows: RowIds) -> tuple[str, ...]:
    structure = scoped.structure
    detached = int(scoped.detached[rows].sum())
    in_flight = int(structure.in_flight[rows].sum())
    circles = int(np.isin(structure.circles, rows).sum())
    notes = []
    if detached:
        notes.append(f"{count_text(detached, 'span')} outside the span it belongs to, left out")
    if in_flight:
        notes.append(f"{count_text(in_flight, 'span')} never ended; taken to end with the last sign of the process")
    if circles:
        notes.append(f"{count_text(circles, 'span')} in a circle of parents, cut open there")
    return tuple(notes)
