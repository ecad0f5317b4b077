"""What all patterns look at: a job's constraints, its waits and submissions in order, and why its runs waited."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.advice.grouped import ByFlow, by_flow, split_up
from raytrace_analyze.advice.paces import Pace, find_paces
from raytrace_analyze.advice.program.files import SourceFiles
from raytrace_analyze.advice.program.use import Use, use_of_result
from raytrace_analyze.advice.start_waits import StartWaits
from raytrace_analyze.names.attributes import CALL_SITE, LIBRARY, UNIT, told
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.path.outcome import failures
from raytrace_analyze.queueing.rules import CauseRules
from raytrace_analyze.queueing.split import split_waits
from raytrace_analyze.replay.graph import Graph, lags_of_runs
from raytrace_analyze.replay.job import Job
from raytrace_analyze.replay.passes.critical import critical_stretches
from raytrace_analyze.replay.passes.forward import Replay, as_observed
from raytrace_analyze.replay.rewrite import work_of_runs
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asked_resources import asked_cpus
from raytrace_analyze.trace.groups import numbers_within
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

FEWEST_ROUNDS = 3
"""From how many waits at one place on there is a loop."""


@frozen
class Loop:
    """The waits of one flow of control at one place of the program, at least `FEWEST_ROUNDS`."""

    waits: RowIds
    """In order of time."""
    submits: RowIds
    """All submits of that flow, in order of time."""
    others: RowIds
    """All waits of that flow from the first of its own on, in order of time."""
    ready: list[RowIds]
    """By wait: the runs whose results it came back with."""


@frozen
class Facts:
    """A job to be advised on. Rows are positions in the span table; times are ns since the epoch."""

    job: Job
    had_slots: int | None
    """How many slots for tasks there were, by the user's word."""
    source: SourceFiles
    """Where the program is read from."""
    floor_ns: float
    """What would save less is no finding: what costs less need not be looked at."""

    @property
    def graph(self) -> Graph:
        """The constraints as they were."""
        return self.job.graph

    @property
    def rules(self) -> CauseRules:
        """What every run can have waited for before it started."""
        return self.job.trace.rules

    @property
    def structure(self) -> Structure:
        """The spans as arrays."""
        return self.graph.events.scoped.structure

    @property
    def spans(self) -> pl.DataFrame:
        """The span table, of all jobs."""
        return self.structure.spans

    @cached_property
    def failed(self) -> Flags:
        """By row: attempts that gave no result."""
        return flags(self.spans.select(failed=failures()).get_column("failed"))

    @property
    def relations(self) -> Runs:
        """What waits and submits speak of."""
        return self.graph.events.runs

    @property
    def start(self) -> Nanos:
        """By row: the effective start."""
        return self.graph.events.scoped.start

    @property
    def end(self) -> Nanos:
        """By row: the effective end."""
        return self.graph.events.scoped.end

    @cached_property
    def slots(self) -> int | None:
        """How many tasks can run at a time, as far as that is known."""
        if self.graph.slots is not None:
            return max(self.graph.slots.capacity // UNIT, 1)
        return self.had_slots or (self.job.cluster.slots if self.job.cluster else None)

    @cached_property
    def now(self) -> Replay:
        """The job replayed as it was."""
        return as_observed(self.graph)

    @cached_property
    def critical(self) -> tuple[RowIds, RowIds]:
        """The events before which a stretch is on the critical path, and the pieces on it."""
        return critical_stretches(self.now)

    def cost_ns(self, rows: RowIds) -> int:
        """Sum what spans (rows) have of the critical path: their own time, and the waits before and in them."""
        events, (stretch, pieces) = self.graph.events, self.critical
        own = stretch[np.isin(events.owner[stretch], rows)]
        began = pieces[np.isin(events.row[self.graph.first[pieces]], rows)]
        first, last = self.graph.first[began], self.now.last[began]
        waited = np.where(last >= 0, self.now.time[first] - self.now.time[last], self.now.lag[began])
        return int(self.now.length[own].sum() + waited.sum())

    @cached_property
    def paces(self) -> list[Pace]:
        """The methods of actors whose calls sleep until it is their turn."""
        return find_paces(self.relations, self.rows, self.start, self.end)

    @cached_property
    def rows(self) -> RowIds:
        """The rows of the job."""
        return self.graph.events.rows[:-1]

    @cached_property
    def runs(self) -> RowIds:
        """The task runs of the job, in order of start."""
        rows = self.rows[self.structure.is_run[self.rows]]
        return rows[np.argsort(self.start[rows], kind="stable")]

    @cached_property
    def waits(self) -> RowIds:
        """The recorded waits of the job that are on some flow, in order of start."""
        rows = self.rows[self.relations.is_wait[self.rows] & ~self.structure.is_run[self.rows]]
        rows = rows[~self.graph.events.scoped.detached[rows]]
        return rows[np.argsort(self.start[rows], kind="stable")]

    @cached_property
    def submits(self) -> RowIds:
        """The submits of the job, in order of start."""
        rows = self.rows[self.structure.is_submit[self.rows]]
        return rows[np.argsort(self.start[rows], kind="stable")]

    @cached_property
    def waits_of(self) -> ByFlow:
        """By flow of control (the row that heads it): its waits that the program itself makes, in order of start."""
        return by_flow(self.graph.events.head, self.own_waits)

    @cached_property
    def submits_of(self) -> ByFlow:
        """By flow of control (the row that heads it): the program's own submits, in order of start."""
        return by_flow(self.graph.events.head, self._of_the_program(self.submits))

    @cached_property
    def own_waits(self) -> RowIds:
        """The waits that the program itself makes, in order of start."""
        return self._of_the_program(self.waits)

    def _of_the_program(self, rows: RowIds) -> RowIds:
        """Leave out the calls (rows) that Ray's libraries make: nobody can write these in another way."""
        texts = self.spans.get_column("attributes").gather(rows)
        return rows[~flags(texts.str.contains(f'"{LIBRARY}"', literal=True))]

    @cached_property
    def loops(self) -> list[list[Loop]]:
        """The loops of the job; those of one place in one function are together, in whatever run of it they are.

        Those in Ray's libraries are left out.
        """
        waits_at: dict[tuple[int, str], list[int]] = {}
        waits = self.own_waits
        often = np.intersect1d(self.waits_of.with_at_least(FEWEST_ROUNDS), self.submits_of.heads)
        waits = waits[np.isin(self.graph.events.head[waits], often)]
        names = self.spans.get_column("name").gather(waits).to_list()
        flows = self.graph.events.head[waits].tolist()
        for wait, flow, name in zip(waits.tolist(), flows, names, strict=True):
            waits_at.setdefault((flow, self.sites.get(wait, name)), []).append(wait)
        found: dict[tuple[str, str], list[Loop]] = {}
        for (flow, place), listed in waits_at.items():
            if len(listed) >= FEWEST_ROUNDS:
                others = self.waits_of.get(flow)
                others = others[self.start[others] >= self.start[listed[0]]]
                sizes, runs, inside = self._ready_in_job(np.array(listed))
                ready = split_up(runs, sizes, inside)
                loop = Loop(np.array(listed), self.submits_of.get(flow), others, ready)
                found.setdefault((place, self.caller(listed[0])), []).append(loop)
        return list(found.values())

    @cached_property
    def run_of_submit(self) -> RowIds:
        """By row: the first run of a submit, -1 for other rows and where there is none."""
        found = np.full(self.spans.height, -1, dtype=np.int64)
        late_first = self.runs[::-1]
        submit = self.structure.submit[late_first]
        found[submit[submit >= 0]] = late_first[submit >= 0]
        return found

    @cached_property
    def recorded(self) -> bool:
        """Whether waits were recorded: without them nobody can tell how results were got."""
        return bool(self.spans.get_column("records_waits").gather(self.rows).fill_null(False).any())

    @cached_property
    def sites(self) -> dict[int, str]:
        """By row of a wait or submit: where in the program the call stands."""
        rows = np.concatenate([self.waits, self.submits])
        sites = told(self.spans.get_column("attributes").gather(rows), CALL_SITE).to_list()
        return {row: site for row, site in zip(rows.tolist(), sites, strict=True) if site}

    def use(self, wait: int, submit: int) -> Use:
        """Tell what a submit does with what a wait before it came back with, by the program's source."""
        many = self.relations.ready.of(wait).size > 1
        sites = self.sites.get(wait), self.sites.get(submit)
        key = (*sites, many)
        if key not in self._uses:
            self._uses[key] = use_of_result(self.source, *sites, self.graph.end_ns, many=many)
        return self._uses[key]

    @cached_property
    def _uses(self) -> dict[tuple[str | None, str | None, bool], Use]:
        return {}

    @cached_property
    def functions(self) -> list[str]:
        """By row of the table: the function of its task; the driver's for what is in none."""
        return list(self.spans.get_column("function").fill_null(DRIVER))

    @cached_property
    def runs_by_function(self) -> dict[str, RowIds]:
        """By function: its runs, in order of start."""
        listed = pl.DataFrame({"function": self.spans.get_column("function").gather(self.runs), "row": self.runs})
        grouped = listed.group_by("function", maintain_order=True).agg("row").sort("function", nulls_last=True)
        return {function or DRIVER: rows.to_numpy() for function, rows in zip(*grouped.get_columns(), strict=True)}

    def functions_of(self, rows: RowIds) -> npt.NDArray[np.str_]:
        """Give the functions of some rows."""
        return np.array([self.functions[row] for row in rows.tolist()], dtype=np.str_)

    def caller(self, row: int) -> str:
        """Give the function in which a wait or a submit stands."""
        above = int(self.graph.events.run_above[row])
        return self.functions[above] if above >= 0 else DRIVER

    @cached_property
    def work_ns(self) -> Nanos:
        """By row of a run: how long its own work took; 0 for other rows."""
        run = work_of_runs(self.graph)
        return np.rint(np.bincount(run[run >= 0], self.graph.fixed[run >= 0], self.spans.height)).astype(np.int64)

    def cpus_of(self, runs: RowIds) -> RowIds:
        """Give how much CPU runs ask for, in ten-thousandths; 1 CPU where nobody says, none for an actor's methods."""
        return np.where(self.relations.actor[runs] >= 0, 0, asked_cpus(self.structure, runs))

    @cached_property
    def lag_ns(self) -> Nanos:
        """By row of a run: how long it took to start once everything it waited for was there."""
        return lags_of_runs(self.graph, self.runs)

    @cached_property
    def ticked_ns(self) -> Nanos:
        """By row of a run: how long it waited for Ray to look for what is to be made again."""
        found, ticks = np.zeros(self.spans.height, dtype=np.int64), self.graph.ticks
        if ticks is not None:
            found[self.graph.events.row[self.graph.first[ticks.activity]]] = ticks.took
        return found

    @cached_property
    def start_waits(self) -> StartWaits:
        """Why runs waited before they started."""
        submitted = self.runs[self.structure.submit[self.runs] >= 0]
        return StartWaits(submitted, split_waits(self.rules, self.rules.whole_waits(submitted)), self.spans.height)

    def ready_runs(self, wait: int) -> RowIds:
        """Give the runs in the job whose results a wait came back with."""
        return self.all_ready_runs(np.array([wait]))[1]

    def all_ready_runs(self, waits: RowIds) -> tuple[RowIds, RowIds]:
        """Give the runs in the job whose results these waits came back with, and for each of them the wait."""
        sizes, runs, inside = self._ready_in_job(waits)
        return np.repeat(waits, sizes)[inside], runs[inside]

    def _ready_in_job(self, waits: RowIds) -> tuple[RowIds, RowIds, Flags]:
        """Give how many results each of several waits came back with, whose they are, and which are of the job."""
        ready = self.relations.ready
        sizes = ready.first[waits + 1] - ready.first[waits]
        runs = ready.members[np.repeat(ready.first[waits], sizes) + numbers_within(sizes)]
        inside: Flags = self.graph.events.start_of[runs] >= 0
        return sizes, runs, inside
