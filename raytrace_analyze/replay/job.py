"""From a span table to the constraints of one of its jobs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import CLUSTER_RESOURCES, UNIT, told_cpus
from raytrace_analyze.names.spans import creates_actor
from raytrace_analyze.path.one_scope import describe, longest
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import Scope
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.queueing.slot_waits import SlotWaits
from raytrace_analyze.replay.change import check_slots
from raytrace_analyze.replay.constraints import build_graph
from raytrace_analyze.replay.graph import Graph, released_by
from raytrace_analyze.replay.passes.critical import critical_stretches
from raytrace_analyze.replay.passes.forward import as_observed
from raytrace_analyze.replay.program_order.elastic import lay_naps
from raytrace_analyze.replay.program_order.events import Slots
from raytrace_analyze.replay.program_order.signals import Signals
from raytrace_analyze.replay.vain import vain_calls
from raytrace_analyze.sampled.naps import find_naps
from raytrace_analyze.table.lineage import RowIds, flags
from raytrace_analyze.trace.scopes import find_job
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.spans import SpanCategory
from raytrace_analyze.wording.clocks import clock_notes
from raytrace_analyze.wording.paths import NOT_ENDED, longest_of_jobs, sleeps_for_something_outside, waits_for_room

_LOOKED_AT = ("category", "function", "attributes", "end")
"""The columns of a job's spans that are looked at here."""
_NOTABLE = 0.05
"""From what part of the job's time on it is said that a function sleeps for something outside of Ray."""


@frozen
class Cluster:
    """The CPUs of the cluster that a job ran on."""

    cpus: int
    """How many there are in all."""
    held_by_actors: float
    """How many of them the job's actors hold, all together."""

    @property
    def slots(self) -> int:
        """How many are left for tasks; at least one."""
        return max(int(self.cpus - self.held_by_actors), 1)


@frozen
class Job:
    """A job that can be replayed."""

    scope: Scope
    graph: Graph
    trace: PreparedTrace
    """What it was read from."""
    notes: tuple[str, ...]
    """What a reader should know about the input."""
    cluster: Cluster | None = None
    """Only where that was asked for, and the driver tells it."""

    @property
    def makespan_ns(self) -> int:
        """How long it took, in ns."""
        return self.graph.end_ns - self.graph.start_ns


def read_job(
    spans: Trace,
    job: str | None = None,
    options: PathOptions | None = None,
    *,
    had_slots: int | None = None,
    trust_cluster: bool = False,
) -> Job:
    """Read a job of a span table (columns of `schema.TABLE`) or prepared trace; by default the one that took longest.

    Of the `options` those of inference count: the constraints are always followed through slots and actors. With
    `trust_cluster` and without `had_slots`, it had as many slots as its driver says that the cluster has; where its
    actors hold some of them, which says nothing of when, only if no run waited for a slot.

    Raises NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous, or less than one slot.
    """
    if had_slots is not None:
        check_slots(had_slots)
    trace = prepare(spans).require_spans()
    structure, scoped = trace.structure, trace.scoped("jobs")
    scope_of, keys = trace.scopes("jobs").of_row, trace.scopes("jobs").keys
    number = longest(scoped, keys) if job is None else find_job(keys, job)
    inside = np.flatnonzero(scope_of == number)
    spans = structure.spans.select(_LOOKED_AT)[inside]
    cluster = read_cluster(spans) if trust_cluster else None
    if had_slots is None and cluster is not None and not cluster.held_by_actors:
        had_slots = cluster.slots
    at_most = None if cluster is None else cluster.slots
    graph = build_graph(
        scoped,
        number,
        trace.runs,
        options,
        waiting=trace.waiting,
        had_slots=had_slots,
        at_most=at_most,
        slots=_slots(trace, inside),
    )
    naps = find_naps(structure, trace.clock_shift, inside).joined(vain_calls(graph))
    if naps.row.size:
        graph = replace(graph, elastic=lay_naps(graph.events, graph.works, released_by(graph), naps))
    notes = list(clock_notes(trace.offsets, keys[number].session))
    if job is None and len(keys) > 1:
        notes.append(longest_of_jobs(len(keys)))
    if _has_open_driver(spans):
        notes.append(NOT_ENDED)
    notes += _looks_outside(graph)
    return Job(describe(spans, keys[number]), graph, trace, tuple(notes), cluster)


def _slots(trace: PreparedTrace, rows: RowIds) -> Slots | None:
    """Find who had the slots that some runs (rows, other spans among them) waited for; None where nothing tells."""
    waits = SlotWaits(trace.rules)
    if not trace.rules.about.states.known.any():
        return None
    runs = rows[trace.structure.is_run[rows]]
    ends = trace.waiting.actor_ends
    freed = Signals.none()
    if ends is not None and (ends.row >= 0).any():
        run, row, made = waits.ended_by(runs)
        freed = Signals(row, made, run)
    return Slots(freed, waits.taken_from(runs), waits.fetched(runs))


def read_cluster(spans: pl.DataFrame) -> Cluster | None:
    """Read what a job (its spans) tells of its cluster: the word of its driver; None where there is none."""
    drivers = spans.filter(pl.col("category") == "driver").get_column("attributes")
    cpus = told_cpus(drivers, CLUSTER_RESOURCES, otherwise=0)
    if not cpus.any():
        return None
    made = spans.filter(pl.col("category") == "submit", creates_actor(pl.col("function")))
    held = told_cpus(made.get_column("attributes"), otherwise=0).sum()
    return Cluster(max(int(cpus[cpus > 0][0]) // UNIT, 1), float(held) / UNIT)


def _has_open_driver(spans: pl.DataFrame) -> bool:
    return not spans.filter(pl.col("category") == SpanCategory.DRIVER, pl.col("end").is_null()).is_empty()


def _looks_outside(graph: Graph) -> Iterator[str]:
    """Say which functions sleep for something outside of Ray, or put what there is no room for, where that is much.

    What is not on the path makes nobody wait.
    """
    if graph.elastic is None or (graph.elastic.until >= 0).all():
        return
    events = graph.events
    stretch, activities = critical_stretches(as_observed(graph))
    on_path = np.isin(graph.elastic.event, np.append(stretch, graph.first[activities]))
    outside = np.flatnonzero((graph.elastic.until < 0) & on_path)
    event, length = graph.elastic.event[outside], graph.elastic.length[outside]
    puts = flags(events.scoped.structure.spans.get_column("category") == SpanCategory.PUT)
    is_put = np.append(puts, False)[np.clip(events.owner[event], -1, puts.size)]
    for chosen, said in ((~is_put, sleeps_for_something_outside), (is_put, waits_for_room)):
        function = graph.function[event[chosen]]
        slept = np.bincount(function, length[chosen].astype(np.float64), minlength=len(graph.functions))
        for number in np.argsort(-slept, kind="stable").tolist():
            if slept[number] < _NOTABLE * (graph.end_ns - graph.start_ns):
                break
            yield said(graph.functions[number], round(slept[number]))
