"""The steps of a task that spans tell of: its submit, what it waited for, its attempts, and who took the result."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.analyses.own_waits import waits_within
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.path.error_origin import first_line
from raytrace_analyze.path.outcome import endings
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.queueing.split import causes_frame
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.busy_time import covered
from raytrace_analyze.trace.groups import Timed
from raytrace_analyze.wording import task_steps
from raytrace_analyze.wording.queues import cause_sentences

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
for the result) or a `dependant` (a task that took the result, or an actor's first call after its start: from the end of
this one to its start). The other columns are about the span that the step belongs to."""

ABOUT = ("span_id", "function", "task_id", "attempt", "actor_id", "node_id", "worker_id", "pid")
"""Columns of `STEPS` that tell which span a step belongs to."""


class StorySteps:
    """Tells steps of tasks, each as a row of `STEPS`; submits, runs and waits are rows of the table."""

    def __init__(self, trace: PreparedTrace) -> None:
        self.structure = trace.structure
        self.runs = trace.runs
        self.rules = trace.rules
        self.flow = trace.structure.run_above

    def _step(self, step: str, row: int, start: int, end: int, sentence: str) -> dict[str, Any]:
        about = {name: self.structure.spans.get_column(name)[row] for name in ABOUT}
        times = {"start_ns": start, "end_ns": end, "duration_ns": end - start}
        return {"step": step, **times, **about, "sentence": sentence}

    def submit(self, submit: int) -> Iterator[dict[str, Any]]:
        """Tell of its submit; nothing where that is not known (-1)."""
        if submit < 0:
            return
        start, end = int(self.structure.start[submit]), int(self.structure.end[submit])
        yield self._step("submit", submit, start, end, task_steps.submitted(self._who(submit), self._pid(submit)))

    def queues(self, attempts: RowIds, lost_until_ns: Sequence[int] = ()) -> Iterator[dict[str, Any]]:
        """Tell of what its attempts waited for before they started, piece by piece.

        What came before the end of an attempt without a span (`lost_until_ns`) is that one's.
        """
        waits = self.rules.whole_waits(attempts[self.structure.submit[attempts] >= 0])
        since = waits.since.copy()
        for end in lost_until_ns:
            since = np.where(end <= waits.until, np.maximum(since, end), since)
        queue = causes_frame(self.rules, replace(waits, since=since))
        rows = dict(zip(self.structure.spans.get_column("span_id").gather(attempts), attempts.tolist(), strict=True))
        for piece, sentence in zip(queue.iter_rows(named=True), cause_sentences(queue), strict=True):
            step = self._step("queue", rows[piece["span_id"]], piece["start_ns"], piece["end_ns"], sentence)
            yield step | {
                name: piece[name] for name in STEPS.names() if name in ("cause", "source") or "holder" in name
            }

    def run(self, run: int, *, for_others: bool = True) -> dict[str, Any]:
        """Tell of one attempt; `for_others` says whether all that it waited for while it ran were other tasks."""
        structure, about = self.structure, self.structure.spans.row(run, named=True)
        sentence = task_steps.ran(
            about["attempt"],
            node_id=about["node_id"],
            pid=about["pid"],
            actor_id=about["actor_id"],
            waiting_ns=self._time_in_waits(run),
            for_others=for_others,
            ending=structure.spans[[run]].select(how=endings()).item(),
            message=first_line(about["status_message"]),
            in_flight=bool(structure.in_flight[run]),
        )
        return self._step("run", run, int(structure.start[run]), self.end_of(run), sentence)

    def end_of(self, run: int) -> int:
        """Give when an attempt ended (ns); one that never did goes on for as long as what it waits in."""
        end = int(self.structure.end[run])
        if not self.structure.in_flight[run]:
            return end
        waits = waits_within(self.structure, self.runs, np.array([run], dtype=np.int64))
        return max(end, int(self.structure.end[waits].max(initial=0)))

    def _time_in_waits(self, run: int) -> int:
        waits = waits_within(self.structure, self.runs, np.array([run], dtype=np.int64))
        together = covered(np.full(waits.size, run), self.structure.start[waits], self.structure.end[waits])
        return int(together.get_column("covered_ns").sum())

    def takers(self, attempts: RowIds) -> Iterator[dict[str, Any]]:
        """Tell who waited for the result, then which tasks took it."""
        structure = self.structure
        ended = int(structure.end[attempts].max())
        for wait in _listing(self.runs.ready, attempts).tolist():
            start, end = int(structure.start[wait]), int(structure.end[wait])
            call = structure.spans.get_column("name")[wait]
            sentence = task_steps.waited_for_it(self._who(wait), call, began_ns=start - ended, ended_ns=end - ended)
            yield self._step("wait", wait, start, end, sentence)
        for submit in _listing(self.runs.dependencies, attempts).tolist():
            runs = self.runs.of_submit.of(submit)
            if runs.size:
                taker = int(runs[0])
                start = int(structure.start[taker])
                sentence = task_steps.took_its_result(self._name(taker), started_ns=start - ended)
                yield self._step("dependant", taker, min(ended, start), start, sentence)
        yield from self._first_call(attempts, ended)

    def _first_call(self, attempts: RowIds, ended: int) -> Iterator[dict[str, Any]]:
        """Tell which call of an actor could begin once it was made, where that was submitted before."""
        structure, runs = self.structure, self.runs
        made = attempts[runs.is_creation[attempts]]
        if not made.size:
            return
        calls = np.flatnonzero((runs.actor == runs.actor[made[-1]]) & ~runs.is_creation & structure.is_run)
        submitted = np.where(structure.submit[calls] >= 0, structure.start[structure.submit[calls]], ended)
        waited = calls[(submitted < ended) & (structure.start[calls] >= ended)]
        if waited.size:
            first = int(waited[np.argmin(structure.start[waited])])
            start = int(structure.start[first])
            sentence = task_steps.waited_for_its_actor(self._name(first), waited.size - 1, started_ns=start - ended)
            yield self._step("dependant", first, ended, start, sentence)

    def _who(self, row: int) -> str:
        run = int(self.flow[row])
        return self._name(run) if run >= 0 else "the driver"

    def _name(self, run: int) -> str:
        return short_name(self.structure.spans.get_column("function")[run] or "a task")

    def _pid(self, row: int) -> int | None:
        pid: int | None = self.structure.spans.get_column("pid")[row]
        return pid


def _listing(named: Timed, runs: RowIds) -> RowIds:
    """Give the rows that name any of these runs, in order of the table."""
    positions = np.flatnonzero(np.isin(named.members, runs))
    return np.unique(np.searchsorted(named.first, positions, side="right") - 1)
