"""What the cluster did while a job ran: tasks running and waiting, slots in use, and why slots were idle."""

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.attributes import UNIT
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import Scope
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.queueing.causes import CAUSES
from raytrace_analyze.queueing.split import Pieces, split_waits
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.shown import Shown
from raytrace_analyze.table.lineage import Nanos
from raytrace_analyze.text.units import duration_text, share_text
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.queues import Cause

Levels = npt.NDArray[np.float64]

BINS = 400
"""Into how many stretches of equal length a job is cut, where nobody says."""

_HAVE_SLOT = (Cause.WORKER_START, Cause.FUNCTION_LOAD, Cause.DISPATCH, Cause.TRANSFER)
_ASK_FOR_SLOT = (Cause.NO_SLOT, Cause.SLOT_START)
_TURNS = (_HAVE_SLOT, tuple(cause for cause in Cause if cause not in (*_HAVE_SLOT, *_ASK_FOR_SLOT)), _ASK_FOR_SLOT)
"""In which order idle slots are put down to waiting tasks: first to those that were given one and do not run yet, then
to those that nothing but a slot would not have helped, then to those that asked for one."""

OVER_TIME = pl.Schema(
    {
        "start_ns": pl.Int64,
        "end_ns": pl.Int64,
        "running": pl.Float64,
        "waiting": pl.Float64,
        "used_slots": pl.Float64,
    }
)
"""Columns of `ClusterUse.over_time`: a stretch of the job (ns since the epoch), and on average over it the task runs
that ran, those submitted that had not started, and the slots in use."""

IDLE = pl.Schema({"cause": pl.String, "slot_ns": pl.Int64, "share": pl.Float64})
"""Columns of `ClusterUse.idle`: what the tasks waited for that could have used idle slots (`Cause`; null: there was no
task), the slot time, and its share of all slot time of the job (0 to 1)."""


@frozen
class ClusterUse(Shown):
    """How much of the cluster a job used."""

    scope: Scope
    start_ns: int
    end_ns: int
    slots: float | None
    """How many slots there were for tasks, told by the driver or by the queues; None where neither tells."""
    over_time: pl.DataFrame
    """Columns of `OVER_TIME`, oldest first."""
    used_slot_ns: int
    """Slot time that tasks held, without the waits in which they gave their slot back."""
    idle: pl.DataFrame
    """Columns of `IDLE`, most first; no rows where the number of slots is not known."""

    def in_short(self) -> str:
        """Say which job this is about, and how much of the slots it used."""
        used = "" if self.used_share is None else f", {share_text(self.used_share, 1)} of {self.slots:g} slots used"
        return f"{self.scope.title}, {duration_text(self.end_ns - self.start_ns)}{used}"

    @property
    def used_share(self) -> float | None:
        """What part of the slot time was used (0 to 1); None where the number of slots is not known."""
        whole = (self.slots or 0) * (self.end_ns - self.start_ns)
        return min(self.used_slot_ns / whole, 1.0) if whole else None


def cluster_use(spans: Trace, job: str | None = None, *, bins: int = BINS) -> ClusterUse:
    """Tell what the cluster did while a job ran, in `bins` stretches of equal length.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one, and a job, by default the one that
    took longest. A slot is one CPU. Actors hold theirs as long as they live: their methods run and wait, but take no
    slots. An idle slot is put down to what the tasks waited for that had been submitted and not started by then: first
    those that were given a slot already, last those that asked for one; in proportion to how many waited for what.
    Slots beyond those tasks had nothing to run.

    Raises NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous, or less than one stretch.
    """
    if bins < 1:
        raise UsageError(f"the time is told in one stretch or more, not {bins}")
    return use_of(read_job(prepare(spans), job, PathOptions(), trust_cluster=True), bins)


def use_of(job: Job, bins: int = BINS) -> ClusterUse:
    """Tell what the cluster did while this job ran."""
    graph = job.graph
    start, end = graph.start_ns, graph.end_ns
    demand, structure = graph.demand, graph.events.scoped.structure
    amount = demand.amount / UNIT
    used = _Level.of(
        np.concatenate([demand.start, demand.pause_start]),
        np.concatenate([demand.end, demand.pause_end]),
        np.concatenate([amount, -amount[demand.pause_of]]),
    )
    rows = graph.events.rows[:-1]
    runs = rows[structure.is_run[rows]]
    running = _Level.of(structure.start[runs], structure.end[runs])
    pieces = split_waits(job.trace.rules, job.trace.rules.whole_waits(runs[structure.submit[runs] >= 0]))
    waiting = _Level.of(pieces.start, pieces.end)
    edges = np.linspace(start, end, bins + 1).astype(np.int64)
    slots = None if graph.slots is None else graph.slots.capacity / UNIT
    over_time = {"running": running, "waiting": waiting, "used_slots": used}
    return ClusterUse(
        scope=job.scope,
        start_ns=start,
        end_ns=end,
        slots=slots,
        over_time=pl.DataFrame(
            {"start_ns": edges[:-1], "end_ns": edges[1:], **{name: of.means(edges) for name, of in over_time.items()}},
            schema=OVER_TIME,
        ),
        used_slot_ns=round(float(used.integral(np.array([start, end])) @ [-1, 1])),
        idle=IDLE.to_frame() if slots is None else _idle(used, _slot_waits(job, pieces, runs), slots, start, end),
    )


@frozen
class _Level:
    """How many (weighted) intervals are open, as steps over time."""

    time: Nanos
    level: Levels
    """By time: from then on."""

    @staticmethod
    def of(start: Nanos, end: Nanos, weight: Levels | None = None) -> "_Level":
        weights = np.ones(start.size) if weight is None else weight
        kept = end > start
        time = np.concatenate([start[kept], end[kept]])
        change = np.concatenate([weights[kept], -weights[kept]])
        order = np.argsort(time, kind="stable")
        return _Level(time[order], np.cumsum(change[order]))

    def at(self, when: Nanos) -> Levels:
        """Give the level right after each time."""
        return np.concatenate([[0.0], self.level])[np.searchsorted(self.time, when, side="right")]

    def integral(self, when: Nanos) -> Levels:
        """Give the area below the steps up to each time (level x ns)."""
        if not self.time.size:
            return np.zeros(when.size)
        area = np.concatenate([[0.0], np.cumsum(self.level[:-1] * np.diff(self.time))])
        before = np.clip(np.searchsorted(self.time, when, side="right") - 1, 0, None)
        since = np.maximum(when - self.time[before], 0)
        inside: Levels = np.where(when < self.time[0], 0.0, area[before] + self.level[before] * since)
        return inside

    def means(self, edges: Nanos) -> Levels:
        """Give the average level between each two edges; never below 0 by rounding."""
        lengths = np.maximum(np.diff(edges), 1)
        return np.maximum(np.diff(self.integral(edges)) / lengths, 0.0)


def _slot_waits(job: Job, pieces: Pieces, runs: Nanos) -> dict[Cause, _Level]:
    """Give how many tasks that need a slot waited for what, by cause."""
    submitted = runs[job.graph.events.scoped.structure.submit[runs] >= 0]
    needs_slot = np.isin(submitted[pieces.wait], job.graph.demand.run)
    found: dict[Cause, _Level] = {}
    for number, cause in enumerate(CAUSES):
        chosen = needs_slot & (pieces.cause == number)
        if chosen.any():
            found[cause] = _Level.of(pieces.start[chosen], pieces.end[chosen])
    return found


def _idle(used: _Level, waiting: dict[Cause, _Level], slots: float, start: int, end: int) -> pl.DataFrame:
    """Divide the idle slot time of a job by cause: columns of `IDLE`."""
    times = np.concatenate([[start, end], used.time, *(level.time for level in waiting.values())])
    edges = np.unique(np.clip(times, start, end))
    since, lengths = edges[:-1], np.diff(edges)
    left = np.maximum(slots - used.at(since), 0.0)
    found: dict[str | None, float] = {}
    for turn in _TURNS:
        levels = {cause: waiting[cause].at(since) for cause in turn if cause in waiting}
        tasks = np.sum(list(levels.values()), axis=0) if levels else np.zeros(since.size)
        taken = np.minimum(left, tasks)
        per_task = np.divide(taken, tasks, out=np.zeros(since.size), where=tasks > 0)
        found |= {str(cause): float((level * per_task) @ lengths) for cause, level in levels.items()}
        left -= taken
    found[None] = float(left @ lengths)
    rows = [(cause, round(slot_ns), slot_ns / max(slots * (end - start), 1)) for cause, slot_ns in found.items()]
    frame = pl.DataFrame(rows, schema=IDLE, orient="row").filter(pl.col("slot_ns") > 0)
    return frame.sort("slot_ns", "cause", descending=[True, False], nulls_last=True)
