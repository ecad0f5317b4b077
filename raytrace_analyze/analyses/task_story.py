"""The story of one task: submitted by whom, waited for what in turn, ran where, and who waited for it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.analyses.lost_attempts import LostAttempt, lost_attempts
from raytrace_analyze.analyses.never_started import never_started, waits_in_vain
from raytrace_analyze.analyses.stack_lines import LINES, stack_lines
from raytrace_analyze.clocks.correction import clock_notes
from raytrace_analyze.errors import UsageError
from raytrace_analyze.function_names import short_name
from raytrace_analyze.path.outcome import endings, first_line
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.queueing.split import causes_frame
from raytrace_analyze.shown import Shown
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.groups import Timed
from raytrace_analyze.trace.scopes import find_job, find_runs
from raytrace_analyze.units import count_text, duration_text
from raytrace_analyze.vocabulary import Ending

_COLUMNS: dict[str, type[pl.DataType]] = {
    "step": pl.String,
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "duration_ns": pl.Int64,
    "cause": pl.String,
    "source": pl.String,
    "span_id": pl.String,
    "function": pl.String,
    "task_id": pl.String,
    "attempt": pl.Int32,
    "actor_id": pl.String,
    "node_id": pl.String,
    "worker_id": pl.String,
    "pid": pl.Int64,
    "holder_span_id": pl.String,
    "holder_function": pl.String,
    "holder_ns": pl.Int64,
    "sentence": pl.String,
}
STEPS = pl.Schema(_COLUMNS)
"""Columns of `TaskStory.steps`; times are ns since the epoch. A step is a `submit`, a `queue` (a piece of a wait before
an attempt: `cause`, `source` and `holder_...` as in `queue_causes`), a `run` (an attempt), a `wait` (somebody waited
for the result) or a `dependant` (a task that took the result: from the end of this one to its start). The other columns
are about the span that the step belongs to."""

_ABOUT = ("span_id", "function", "task_id", "attempt", "actor_id", "node_id", "worker_id", "pid")
_SHORT_ID = 6
_SHOWN = 3


@dataclass(frozen=True, repr=False)
class TaskStory(Shown):
    """What happened to one task, from its submit to whoever got its result."""

    function: str
    task_id: str | None
    span_id: str
    """The run that was asked for; of several the slowest from submit to end. Made up where no attempt has a span."""
    session: str
    job_id: str | None
    start_ns: int
    """When it began to be submitted; for a run that nobody submitted, its own start."""
    end_ns: int
    queue_ns: int
    """How long its attempts waited to start, all together."""
    run_ns: int
    """How long its attempts ran, all together."""
    other_runs: int
    """How many other tasks were meant by the same name."""
    steps: pl.DataFrame
    """Columns of `STEPS`: submit, waits and attempts in order of time, then who waited for it."""
    notes: tuple[str, ...]
    lines: pl.DataFrame = field(default_factory=LINES.to_frame)
    """Where in the program the run was, line by line, as far as somebody looked: columns of `LINES`."""

    def in_short(self) -> str:
        """Say which task this is about, and how long it took."""
        return f"{short_name(self.function)}, {duration_text(self.duration_ns)} from its submit to its end"

    @property
    def duration_ns(self) -> int:
        """How long it took from submit to end."""
        return self.end_ns - self.start_ns


def tell_story(
    spans: Trace,
    task: str,
    task_events: pl.DataFrame | None = None,
    *,
    job: str | None = None,
    clock_correct: bool = True,
) -> TaskStory:
    """Tell the story of a task: a function's name, a task id or a span id; of several runs of the slowest.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one, and a `job` (`ID` or `SESSION/ID`) to
    look for the task in; `task_events` are those that version 0.1.0 gave beside the spans. Attempts that only Ray's
    task events know, killed or queued still, are part of it; of a task that has no other ones they are all of it.
    Raises NoSpansError for an empty table, UsageError for a task or job that is not there.
    """
    trace = prepare(spans, task_events, clock_correct=clock_correct).require_spans()
    try:
        candidates = _runs_meant(trace, task, job)
    except UsageError:
        lost = _lost_meant(trace, task, job)
        if lost.height:
            return _Teller(trace).tell_lost(lost)
        pending = never_started(trace, task, job)
        if not pending.size:
            raise
        return _Teller(trace).tell_pending(pending)
    structure, runs = trace.structure, trace.runs
    submit = structure.submit[candidates]
    since = np.where(submit >= 0, structure.start[submit], structure.start[candidates])
    slowest = np.lexsort((structure.id_ranks(candidates), structure.end[candidates] - since))[-1]
    run = int(candidates[slowest])
    number = runs.same_task[run]
    attempts = np.flatnonzero(runs.same_task == number) if number >= 0 else np.array([run], dtype=np.int64)
    attempts = attempts[np.argsort(structure.start[attempts], kind="stable")]
    return _Teller(trace).tell(
        run, attempts, np.setdiff1d(candidates, attempts).size, _lost_notes(trace, run, task, job)
    )


def _runs_meant(trace: PreparedTrace, task: str, job: str | None) -> RowIds:
    spans = trace.spans
    if job is None:
        return find_runs(spans, task).to_numpy().astype(np.int64)
    scopes = trace.scopes("jobs")
    inside = np.flatnonzero(scopes.of_row == find_job(scopes.keys, job))
    return np.asarray(inside[find_runs(spans[inside], task).to_numpy()], dtype=np.int64)


def _lost_meant(trace: PreparedTrace, task: str, job: str | None) -> pl.DataFrame:
    """Give the attempts without a span that are meant, the longest first; none where there are none."""
    attempts = trace.attempts
    if job is not None:
        key = trace.scopes("jobs").keys[find_job(trace.scopes("jobs").keys, job)]
        attempts = attempts.filter(pl.col("session") == key.session, pl.col("job_id") == key.id)
    try:
        return attempts[find_runs(attempts, task)]
    except UsageError:
        return attempts.clear()


def _lost_notes(trace: PreparedTrace, run: int, task: str, job: str | None) -> tuple[str, ...]:
    """Say which other tasks of that name have no span at all."""
    own = trace.structure.run_task[run]
    lost = _lost_meant(trace, task, job).filter(pl.col("task_id").ne_missing(pl.lit(own, pl.String)))
    others = lost.get_column("task_id").unique(maintain_order=True)
    if others.is_empty():
        return ()
    shown = ", ".join(others.head(_SHOWN)) + (" ..." if others.len() > _SHOWN else "")
    return (f"{count_text(others.len(), 'more task')} of that name left no span (killed, or never started): {shown}",)


class _Teller:
    """Puts the steps of a task's story together."""

    def __init__(self, trace: PreparedTrace) -> None:
        self.trace = trace
        self.structure = trace.structure
        self.runs = trace.runs
        self.rules = trace.rules
        self.flow = trace.structure.run_above

    def tell(self, run: int, attempts: RowIds, others: int, notes: tuple[str, ...]) -> TaskStory:
        structure, about = self.structure, self.structure.spans.row(run, named=True)
        submit, task_id = int(structure.submit[run]), structure.run_task[run]
        queue = causes_frame(self.rules, self.rules.whole_waits(attempts[structure.submit[attempts] >= 0]))
        waited = list(self._waits(attempts))
        if not waited:
            notes = (*notes, "nobody is recorded to have waited for it or to have taken its result")
        lost = lost_attempts(self.trace, about["session"], task_id)
        told = [*self._submit(submit), *self._queue(queue, attempts), *map(self._run, attempts.tolist()), *_told(lost)]
        steps = pl.DataFrame([*_in_order(told), *waited], schema=STEPS)
        return TaskStory(
            function=about["function"] or about["name"],
            task_id=task_id,
            span_id=about["span_id"],
            session=about["session"],
            job_id=about["job_id"],
            start_ns=int(structure.start[submit if submit >= 0 else run]),
            end_ns=int(structure.end[run]),
            queue_ns=_total(steps, "queue"),
            run_ns=_total(steps, "run"),
            other_runs=others,
            steps=steps,
            notes=(*clock_notes(self.trace.offsets, about["session"]), *notes),
            lines=stack_lines(about["attributes"]),
        )

    def tell_lost(self, candidates: pl.DataFrame) -> TaskStory:
        """Tell of a task whose attempts have no span: of several the one that took longest."""
        taken = candidates.with_columns(took=pl.col("end").fill_null(self.trace.spans["end"].max()) - pl.col("start"))
        about = taken.sort("took", "span_id", nulls_last=True).row(-1, named=True)
        lost = lost_attempts(self.trace, about["session"], about["task_id"])
        submit = lost[0].submit
        told = [*self._submit(submit), *_told(lost)]
        steps = pl.DataFrame(_in_order(told), schema=STEPS)
        return TaskStory(
            function=about["function"] or about["name"],
            task_id=about["task_id"],
            span_id=about["span_id"],
            session=about["session"],
            job_id=about["job_id"],
            start_ns=int(self.structure.start[submit]) if submit >= 0 else min(each.start_ns for each in lost),
            end_ns=max(each.end_ns for each in lost),
            queue_ns=_total(steps, "queue"),
            run_ns=_total(steps, "run"),
            other_runs=candidates.get_column("task_id").n_unique() - 1,
            steps=steps,
            notes=(
                *clock_notes(self.trace.offsets, about["session"]),
                "no span tells of it; what is told here is from Ray's task events",
            ),
        )

    def tell_pending(self, submits: RowIds) -> TaskStory:
        """Tell of a task that never started, of several the one that was submitted first."""
        submit = int(submits[0])
        about = self.structure.spans.row(submit, named=True)
        end, waiting = waits_in_vain(self.trace, submit)
        steps = pl.DataFrame([*self._submit(submit), *waiting], schema=STEPS)
        return TaskStory(
            function=about["function"] or about["name"],
            task_id=about["submitted_task_id"],
            span_id=about["span_id"],
            session=about["session"],
            job_id=about["job_id"],
            start_ns=int(self.structure.start[submit]),
            end_ns=end,
            queue_ns=_total(steps, "queue"),
            run_ns=0,
            other_runs=submits.size - 1,
            steps=steps,
            notes=(*clock_notes(self.trace.offsets, about["session"]), "it never started, as far as is recorded"),
        )

    def _step(self, step: str, row: int, start: int, end: int, sentence: str) -> dict[str, Any]:
        about = {name: self.structure.spans.get_column(name)[row] for name in _ABOUT}
        times = {"start_ns": start, "end_ns": end, "duration_ns": end - start}
        return {"step": step, **times, **about, "sentence": sentence}

    def _submit(self, submit: int) -> Iterator[dict[str, Any]]:
        if submit < 0:
            return
        start, end = int(self.structure.start[submit]), int(self.structure.end[submit])
        yield self._step("submit", submit, start, end, f"{self._who(submit)} submitted it{self._process(submit)}")

    def _queue(self, queue: pl.DataFrame, attempts: RowIds) -> Iterator[dict[str, Any]]:
        rows = dict(zip(self.structure.spans.get_column("span_id").gather(attempts), attempts.tolist(), strict=True))
        for piece in queue.iter_rows(named=True):
            row = rows[piece["span_id"]]
            step = self._step("queue", row, piece["start_ns"], piece["end_ns"], piece["sentence"])
            yield step | {
                name: piece[name] for name in STEPS.names() if name in ("cause", "source") or "holder" in name
            }

    def _run(self, run: int) -> dict[str, Any]:
        structure, about = self.structure, self.structure.spans.row(run, named=True)
        start, end = int(structure.start[run]), int(structure.end[run])
        node = f" on node {about['node_id'][:_SHORT_ID]}" if about["node_id"] else ""
        actor = f", actor {about['actor_id'][:_SHORT_ID]}" if about["actor_id"] else ""
        which = f"attempt {about['attempt']}" if about["attempt"] else "it"
        inside = self._time_in_waits(run)
        waiting = f", {duration_text(inside)} of it waiting for other tasks" if inside else ""
        ending = ", and never ended" if structure.in_flight[run] else ""
        how = structure.spans[[run]].select(how=endings()).item()
        if how == Ending.CANCELLED:
            ending = ", and was cancelled"
        elif how is not None:
            ending = f", and failed: {first_line(about['status_message']) or 'no message'}"
        return self._step("run", run, start, end, f"{which} ran{node}{self._process(run)}{actor}{waiting}{ending}")

    def _time_in_waits(self, run: int) -> int:
        waits = np.flatnonzero(self.runs.is_wait & (self.structure.nest_parent == run))
        return int(np.maximum(self.structure.end[waits] - self.structure.start[waits], 0).sum())

    def _waits(self, attempts: RowIds) -> Iterator[dict[str, Any]]:
        """Tell who waited for the result, then which tasks took it."""
        structure = self.structure
        ended = int(structure.end[attempts].max())
        for wait in _listing(self.runs.ready, attempts).tolist():
            start, end = int(structure.start[wait]), int(structure.end[wait])
            name = structure.spans.get_column("name")[wait]
            if start < ended:
                text = f"{self._who(wait)} waited for it in {name}, and had it {_later(end - ended)} its end"
            else:
                text = f"{self._who(wait)} asked for it with {name} {_later(start - ended)} its end"
            yield self._step("wait", wait, start, end, text)
        for submit in _listing(self.runs.dependencies, attempts).tolist():
            takers = self.runs.of_submit.of(submit)
            if takers.size:
                taker = int(takers[0])
                start = int(structure.start[taker])
                text = f"{self._name(taker)} took its result and started {_later(start - ended)} its end"
                yield self._step("dependant", taker, min(ended, start), start, text)

    def _who(self, row: int) -> str:
        run = int(self.flow[row])
        return self._name(run) if run >= 0 else "the driver"

    def _name(self, run: int) -> str:
        return short_name(self.structure.spans.get_column("function")[run] or "a task")

    def _process(self, row: int) -> str:
        pid = self.structure.spans.get_column("pid")[row]
        return f" [process {pid}]" if pid is not None else ""


def _told(lost: list[LostAttempt]) -> list[dict[str, Any]]:
    return [step for attempt in lost for step in attempt.steps]


def _in_order(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = {"submit": 0, "queue": 1, "run": 2}
    return sorted(steps, key=lambda step: (step["start_ns"], order[step["step"]]))


def _total(steps: pl.DataFrame, step: str) -> int:
    return int(steps.filter(step=step).get_column("duration_ns").sum())


def _listing(named: Timed, runs: RowIds) -> RowIds:
    """Give the rows that name any of these runs, in order of the table."""
    positions = np.flatnonzero(np.isin(named.members, runs))
    return np.unique(np.searchsorted(named.first, positions, side="right") - 1)


def _later(after_ns: int) -> str:
    return f"{duration_text(abs(after_ns))} {'after' if after_ns >= 0 else 'before'}"
