"""What a job would take if something were different: faster functions, no queues, other slots."""

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import replace

import polars as pl

from raytrace_analyze.names.attributes import UNIT
from raytrace_analyze.names.functions import DRIVER, NOT_TRACED, is_without_program
from raytrace_analyze.names.serve import is_handle
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import CriticalPath, Scope
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.replay.change import Change, check_change, find_name, work_by_function
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.replay.passes.critical import critical_functions
from raytrace_analyze.replay.passes.forward import Replay, as_observed, replay
from raytrace_analyze.shown import Shown
from raytrace_analyze.table.lineage import flags
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.values import frozen

_SPEEDS = (1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, math.inf)
_ALL_OF_IT = 0.98
"""From what share of all that can be won on nothing more is said to be won."""
_RANKED = 20
"""How many functions the ranking holds: those with the most time on the critical path."""


RANKING = pl.Schema(
    {
        "function": pl.String,
        "runs": pl.Int64,
        "work_ns": pl.Int64,
        "critical_ns": pl.Int64,
        "saved_2x_ns": pl.Int64,
        "saved_most_ns": pl.Int64,
        "predicted_2x_ns": pl.Int64,
        "predicted_least_ns": pl.Int64,
        "saturating_speedup": pl.Float64,
        "next_critical": pl.String,
        "is_rays": pl.Boolean,
    }
)
"""Columns of `WhatIf.functions`; see `what_if`."""


@frozen
class WhatIf(Shown):
    """A job as it would be after a change."""

    scope: Scope
    change: Change
    """With the full names of functions."""
    observed_ns: int
    """How long the job took."""
    predicted_ns: int
    """How long it would take."""
    critical: pl.DataFrame
    """What would decide that, by function: `function`, `self_ns`, `submit_ns`, `queue_ns`, `fetch_ns`, `total_ns`,
    `share` of the predicted makespan (0 to 1)."""
    changed: pl.DataFrame
    """The spans whose times change: `span_id`, `trace_id`, `task_id`, `function`, `name`, `start_ns`, `end_ns` as
    observed, `new_start_ns`, `new_end_ns` (since the epoch), in order of start."""
    saturating_speedup: float | None
    """With one faster function: from which speed on next to nothing more is won; None where nothing is won at all,
    where the faster is always the better, or with another change."""
    next_critical: str | None
    """The function that decides the most of the time at that speed."""
    slots: float | None
    """How many slots the job had, as far as its queues tell; None where no run waited for one."""
    notes: tuple[str, ...]
    functions: pl.DataFrame
    """Where no change was asked for: what would help most, a row a function; else no rows. See `what_if`."""
    driver_works: bool = True
    """Of such a ranking: whether the driver's own code is known to be on the CPU for half of its time on the path.
    Else what it would win is the most that it can be."""

    def in_short(self) -> str:
        """Say how long the job took, and would take; of a ranking of how many functions it is."""
        if self.functions.height:
            took, ranked = duration_text(self.observed_ns), count_text(self.functions.height, "function")
            return f"{self.scope.title}, {took}, {ranked} ranked"
        return f"{self.scope.title}, {duration_text(self.predicted_ns)} instead of {duration_text(self.observed_ns)}"

    @property
    def saved_ns(self) -> int:
        """How much shorter the job would be, in ns; negative for longer."""
        return self.observed_ns - self.predicted_ns


def what_if(
    spans: Trace,
    job: str | None = None,
    *,
    speedup: Mapping[str, float] | None = None,
    remove_queue: bool = False,
    slots: int | None = None,
    infinite_slots: bool = False,
    had_slots: int | None = None,
    infer: bool = True,
    clock_correct: bool = True,
) -> WhatIf:
    """Predict how long a job would take after a change; without one, rank what would help most.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one, and a job, by default the one that
    took longest. `speedup`: by function (or name of a span within tasks; `(driver)` for the driver), how many times as
    fast its own work would be. `remove_queue`: every run starts as soon as its inputs, and its actor, are there.
    `slots`: so many CPUs for tasks in all; `infinite_slots`: as many as there are tasks. `had_slots`: how many there
    were, where that is known; else it is told from who waited for whom.

    Without a change the prediction is what was observed, and the ranking is its `functions`, which has no rows
    otherwise: one row a function on the critical path, what helps most first; functions of Ray's libraries that run
    nothing of the program's (`is_rays`), which nobody can make faster, come last. Columns: `function`, `runs`,
    `work_ns` (its own work, in all runs), `critical_ns` (what of it is on the path), `saved_2x_ns` and
    `saved_most_ns` (how much shorter the job would be with it twice and infinitely as fast), `predicted_2x_ns`,
    `predicted_least_ns`, `saturating_speedup` (from which speed on next to nothing more is won; null: the faster the
    better), `next_critical` (the function that decides the most of the time then) and `is_rays`.

    Raises NoSpansError for an empty table, UsageError for a job or function that is unknown or ambiguous.
    """
    trace = prepare(spans, clock_correct=clock_correct)
    read = read_job(trace, job, PathOptions(infer=infer), had_slots=had_slots, trust_cluster=True)
    change = Change(dict(speedup or {}), remove_queue, slots, infinite_slots)
    if change != Change():
        return predict(read, change)
    return rank(read, critical_path(trace, job=job, options=PathOptions(infer=infer)))


def rank(job: Job, path: CriticalPath) -> WhatIf:
    """Rank the functions of a job, whose path this is, by what would be won if each were faster."""
    return replace(predict(job, Change()), driver_works=path.driver_works)


def predict(job: Job, change: Change) -> WhatIf:
    """Replay a job with a change; without one, rank its functions, as `rank` does."""
    check_change(change)
    speedup = {find_name(job.graph, name): factor for name, factor in change.speedup.items()}
    change = Change(speedup, change.remove_queue, change.slots, change.infinite_slots)
    after = as_observed(job.graph) if change == Change() else replay(job.graph, change)
    saturating, then = None, None
    if len(speedup) == 1 and change == Change(speedup):
        ((function, factor),) = speedup.items()
        saturating, then = _saturation(job, function, {factor: after})
    found = job.graph.slots
    return WhatIf(
        scope=job.scope,
        change=change,
        observed_ns=job.makespan_ns,
        predicted_ns=after.makespan_ns,
        critical=critical_functions(after),
        changed=_changed(after),
        saturating_speedup=saturating,
        next_critical=then,
        slots=found.capacity / UNIT if found else None,
        notes=job.notes,
        functions=_rank(job, after) if change == Change() else RANKING.to_frame(),
    )


def best_speedup(job: Job, more_than_ns: int = 0, *, without: Collection[str] = ()) -> tuple[str, int] | None:
    """Give the function that ranks first, and how long the job would take with it twice as fast.

    None where none saves more than so much. `without`: functions that are not asked about.

    Half of what a function has of the path is the most that can be won, so that few have to be tried. What Ray's
    libraries do themselves nobody can make faster.
    """
    best: tuple[int, int, str] | None = None
    others = _on_path(as_observed(job.graph)).filter(~is_without_program(pl.col("function")).fill_null(value=False))
    for function, critical_ns in others.select("function", "self_ns").iter_rows():
        if critical_ns <= 2 * (best[0] if best else more_than_ns):
            break
        if function in without:
            continue
        predicted = replay(job.graph, Change({function: 2.0})).makespan_ns
        best = max(best or (more_than_ns, 0, ""), (job.makespan_ns - predicted, predicted, function))
    return (best[2], best[1]) if best and best[2] else None


def _on_path(unchanged: Replay) -> pl.DataFrame:
    """Give the functions to be ranked, the one with the most work on the path first."""
    path = critical_functions(unchanged).filter(pl.col("self_ns") > 0, pl.col("function") != NOT_TRACED)
    return path.sort("self_ns", "function", descending=[True, False]).head(_RANKED)


def _rank(job: Job, unchanged: Replay) -> pl.DataFrame:
    """Rank the functions of a job, which has been replayed as it was: columns of `RANKING`."""
    graph = job.graph
    path = _on_path(unchanged)
    work = work_by_function(graph)
    structure = graph.events.scoped.structure
    rows = graph.events.rows[:-1]
    is_request = flags(is_handle(structure.spans.get_column("name").gather(rows)))
    counted = rows[structure.is_run[rows] | is_request]
    runs = structure.spans.get_column("function").gather(counted).fill_null("").to_list()
    rows_of = []
    for function, critical_ns in path.select("function", "self_ns").iter_rows():
        made = {speed: replay(graph, Change({function: speed})) for speed in (2.0, math.inf)}
        twice, least = made[2.0].makespan_ns, made[math.inf].makespan_ns
        saturating, then = _saturation(job, function, made)
        rows_of.append(
            {
                "function": function,
                "runs": 1 if function == DRIVER else runs.count(function),
                "work_ns": round(work[graph.functions.index(function)]),
                "critical_ns": critical_ns,
                "saved_2x_ns": job.makespan_ns - twice,
                "saved_most_ns": job.makespan_ns - least,
                "predicted_2x_ns": twice,
                "predicted_least_ns": least,
                "saturating_speedup": saturating,
                "next_critical": then,
            }
        )
    return (
        pl.DataFrame(rows_of, schema=RANKING)
        .with_columns(is_rays=is_without_program(pl.col("function")))
        .sort("is_rays", "saved_2x_ns", "saved_most_ns", "function", descending=[False, True, True, False])
    )


def _saturation(job: Job, function: str, made: dict[float, Replay]) -> tuple[float | None, str | None]:
    """Find the speed from which on nothing more is won, and what decides then; `made` holds replays by speed."""

    def at(speed: float) -> Replay:
        if speed not in made:
            made[speed] = replay(job.graph, Change({function: speed}))
        return made[speed]

    most = job.makespan_ns - at(math.inf).makespan_ns
    if most <= 0:
        return None, _first_but(at(math.inf), function)
    twice = job.makespan_ns - at(2.0).makespan_ns
    likely = _likely_saturation(twice, most)
    low, high = 0, len(_SPEEDS) - 1
    while low < high:
        # Each try is a replay: those first that settle most.
        tries = (_SPEEDS.index(2), likely - 1, likely, (low + high) // 2)
        middle = next(number for number in tries if low <= number < high)
        if job.makespan_ns - at(_SPEEDS[middle]).makespan_ns >= _ALL_OF_IT * most:
            high = middle
        else:
            low = middle + 1
    speed = float(_SPEEDS[low])
    return None if math.isinf(speed) else speed, _first_but(at(speed), function)


def _likely_saturation(twice_ns: int, most_ns: int) -> int:
    """Guess which of the speeds it is from what is won at twice the speed, and at most.

    While a function decides the time, what is won is in proportion to the work that is spared.
    """
    all_ns, enough_ns = 2 * twice_ns, _ALL_OF_IT * most_ns
    speed = all_ns / (all_ns - enough_ns) if all_ns > enough_ns else math.inf
    return bisect_left(_SPEEDS, speed)


def _first_but(after: Replay, function: str) -> str | None:
    """Give the function that decides most of the time, other than this one."""
    others = critical_functions(after).filter(pl.col("function") != function).get_column("function")
    return None if others.is_empty() else str(others[0])


def _changed(after: Replay) -> pl.DataFrame:
    events = after.graph.events
    rows = events.rows[:-1]
    shift = after.time - events.time
    moved_start, moved_end = shift[events.start_of[rows]], shift[events.end_of[rows]]
    kept = (moved_start != 0) | (moved_end != 0)
    structure, rows = events.scoped.structure, rows[kept]
    start, end = structure.start[rows], structure.end[rows]
    about: pl.DataFrame = structure.spans.select("span_id", "trace_id", "task_id", "function", "name")[rows]
    return about.with_columns(
        start_ns=pl.Series(start),
        end_ns=pl.Series(end),
        new_start_ns=pl.Series(start + moved_start[kept]),
        new_end_ns=pl.Series(end + moved_end[kept]),
    ).sort("start_ns", "span_id")
