"""From a span table to the constraints of one of its jobs."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from raytrace_analyze.errors import NoSpansError
from raytrace_analyze.path.analysis import describe, longest
from raytrace_analyze.path.clocks import build_corrected, clock_notes
from raytrace_analyze.path.result import Scope
from raytrace_analyze.path.scoped import scope_spans
from raytrace_analyze.path.scopes import find_job, number_scopes
from raytrace_analyze.replay.graph import Graph, build_graph
from raytrace_analyze.units import count_text


@dataclass(frozen=True)
class Job:
    """A job that can be replayed."""

    scope: Scope
    graph: Graph
    notes: tuple[str, ...]
    """What a reader should know about the input."""

    @property
    def makespan_ns(self) -> int:
        """How long it took, in ns."""
        return self.graph.end_ns - self.graph.start_ns


def read_job(
    spans: pl.DataFrame,
    job: str | None = None,
    *,
    infer: bool = True,
    had_slots: int | None = None,
    clock_correct: bool = True,
    trust_cluster: bool = False,
) -> Job:
    """Read a job of a span table (columns of `schema.TABLE`); by default the one that took longest.

    With `trust_cluster`, it had as many slots as its driver says that the cluster has; where its actors hold some of
    them, which says nothing of when, only if no run waited for a slot.

    Raises NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous.
    """
    if spans.is_empty():
        raise NoSpansError("there are no spans to analyse")
    structure, offsets = build_corrected(spans, clock_correct=clock_correct)
    scope_of, keys = number_scopes(structure.spans, "jobs")
    scoped = scope_spans(structure, scope_of, len(keys))
    number = longest(scoped, keys) if job is None else find_job(keys, job)
    inside = np.flatnonzero(scope_of == number)
    at_most = cluster_slots(structure.spans[inside]) if trust_cluster else None
    if at_most is not None and at_most == cluster_cpus(structure.spans[inside]):
        had_slots = at_most
    graph = build_graph(scoped, number, infer=infer, had_slots=had_slots, at_most=at_most)
    notes = list(clock_notes(offsets, keys[number].session))
    if job is None and len(keys) > 1:
        notes.append(f"of {count_text(len(keys), 'job')} in these spans, this one took longest")
    return Job(describe(structure.spans[inside], keys[number]), graph, tuple(notes))


def cluster_cpus(spans: pl.DataFrame) -> int | None:
    """Tell how many CPUs a job's cluster had in all, by the word of its driver; None where that is not told."""
    told = spans.filter(pl.col("category") == "driver").get_column("attributes")
    cpus = told.str.json_path_match("$['raytrace.cluster_resources']").str.json_path_match("$.CPU")
    found = cpus.cast(pl.Float64, strict=False).drop_nulls()
    return None if found.is_empty() else max(int(found[0]), 1)


def cluster_slots(spans: pl.DataFrame) -> int | None:
    """Tell how many CPUs a job's cluster had for tasks: all but what its actors hold; None where it is not told."""
    cpus = cluster_cpus(spans)
    if cpus is None:
        return None
    made = spans.filter(pl.col("category") == "submit", pl.col("function").str.ends_with("__init__"))
    told = made.get_column("attributes").str.json_path_match("$['raytrace.resources']")
    held = told.str.json_path_match("$.CPU").cast(pl.Float64, strict=False).sum()
    return max(int(cpus - float(held)), 1)
