"""The story of one task: submitted by whom, waited for what in turn, ran where, and who waited for it."""

from dataclasses import field
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.analyses.lost_attempts import LostAttempt, lost_attempts
from raytrace_analyze.analyses.own_waits import OWN_WAITS, own_waits
from raytrace_analyze.analyses.stack_lines import LINES, stack_lines
from raytrace_analyze.analyses.story_steps import STEPS, StorySteps
from raytrace_analyze.analyses.stuck.never_started import never_started, waits_in_vain
from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.shown import Shown
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.text.units import duration_text
from raytrace_analyze.trace.scopes import find_job, find_runs
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording import task_steps
from raytrace_analyze.wording.clocks import clock_notes

_NEARLY_ALL = 0.95
"""What part of the waiting while it ran is that for other tasks, if it is called that."""


@frozen
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
    own_waits: pl.DataFrame = field(default_factory=OWN_WAITS.to_frame)
    """What it waited for while it ran: columns of `OWN_WAITS`."""
    has_ended: bool = True
    """Whether it had ended when the record ends; else that is what `end_ns` is."""

    def in_short(self) -> str:
        """Say which task this is about, and how long it took."""
        until = "to its end" if self.has_ended else "until the record ends"
        return f"{short_name(self.function)}, {duration_text(self.duration_ns)} from its submit {until}"

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
    return (task_steps.others_left_no_span(others.to_list()),)


class _Teller:
    """Puts the steps of a task's story together."""

    def __init__(self, trace: PreparedTrace) -> None:
        self.trace = trace
        self.structure = trace.structure
        self.steps = StorySteps(trace)

    def tell(self, run: int, attempts: RowIds, others: int, notes: tuple[str, ...]) -> TaskStory:
        structure, about = self.structure, self.structure.spans.row(run, named=True)
        submit, task_id = int(structure.submit[run]), structure.run_task[run]
        waited = list(self.steps.takers(attempts))
        if not waited:
            notes = (*notes, task_steps.NOBODY_WAITED)
        lost = lost_attempts(self.trace, about["session"], task_id)
        within = own_waits(self.trace, attempts)
        is_known, took = within.get_column("function").is_not_null(), within.get_column("waited_ns")
        for_others = int(took.filter(is_known).sum()) >= _NEARLY_ALL * int(took.sum())
        runs = [self.steps.run(each, for_others=for_others) for each in attempts.tolist()]
        told = [
            *self.steps.submit(submit),
            *self.steps.queues(attempts, [each.end_ns for each in lost]),
            *runs,
            *_told(lost),
        ]
        steps = pl.DataFrame([*_in_order(told), *waited], schema=STEPS)
        return TaskStory(
            function=about["function"] or about["name"],
            task_id=task_id,
            span_id=about["span_id"],
            session=about["session"],
            job_id=about["job_id"],
            start_ns=int(structure.start[submit if submit >= 0 else run]),
            end_ns=self.steps.end_of(run),
            queue_ns=_total(steps, "queue"),
            run_ns=_total(steps, "run"),
            other_runs=others,
            steps=steps,
            notes=(*clock_notes(self.trace.offsets, about["session"]), *notes),
            lines=stack_lines(about["attributes"]),
            own_waits=within,
            has_ended=not structure.in_flight[run],
        )

    def tell_lost(self, candidates: pl.DataFrame) -> TaskStory:
        """Tell of a task whose attempts have no span: of several the one that took longest."""
        taken = candidates.with_columns(took=pl.col("end").fill_null(self.trace.spans["end"].max()) - pl.col("start"))
        about = taken.sort("took", "span_id", nulls_last=True).row(-1, named=True)
        lost = lost_attempts(self.trace, about["session"], about["task_id"])
        submit = lost[0].submit
        told = _in_order([*self.steps.submit(submit), *_told(lost)])
        if submit >= 0 and about["end"] is None and told[-1]["step"] == "queue":
            told = [*told[:-1], *self._known_better(submit, told[-1])]
        steps = pl.DataFrame(told, schema=STEPS)
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
                task_steps.ONLY_EVENTS,
            ),
        )

    def _known_better(self, submit: int, step: dict[str, Any]) -> list[dict[str, Any]]:
        """Say what a task waits for that never started by who is in its way, where that is known; else as it is told.

        Ray's task events tell only how far it came.
        """
        _, found = waits_in_vain(self.trace, submit, since_ns=step["start_ns"], until_ns=step["end_ns"])
        return found if all(one["cause"] != Cause.UNKNOWN for one in found) else [step]

    def tell_pending(self, submits: RowIds) -> TaskStory:
        """Tell of a task that never started, of several the one that was submitted first."""
        submit = int(submits[0])
        about = self.structure.spans.row(submit, named=True)
        end, waiting = waits_in_vain(self.trace, submit)
        steps = pl.DataFrame([*self.steps.submit(submit), *waiting], schema=STEPS)
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
            notes=(*clock_notes(self.trace.offsets, about["session"]), task_steps.NEVER_STARTED),
            has_ended=False,
        )


def _told(lost: list[LostAttempt]) -> list[dict[str, Any]]:
    return [step for attempt in lost for step in attempt.steps]


def _in_order(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = {"submit": 0, "queue": 1, "run": 2}
    return sorted(steps, key=lambda step: (step["start_ns"], order[step["step"]]))


def _total(steps: pl.DataFrame, step: str) -> int:
    return int(steps.filter(step=step).get_column("duration_ns").sum())
