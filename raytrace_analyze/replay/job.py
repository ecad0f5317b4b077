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
) -> Job:
    """Read a job of a span table (columns of `schema.TABLE`); by default the one that took longest.

    Raises NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous.
    """
    if spans.is_empty():
        raise NoSpansError("there are no spans to analyse")
    structure, offsets = build_corrected(spans, clock_correct=clock_correct)
    scope_of, keys = number_scopes(structure.spans, "jobs")
    scoped = scope_spans(structure, scope_of, len(keys))
    number = longest(scoped, keys) if job is None else find_job(keys, job)
    graph = build_graph(scoped, number, infer=infer, had_slots=had_slots)
    notes = list(clock_notes(offsets, keys[number].session))
    if job is None and len(keys) > 1:
        notes.append(f"of {count_text(len(keys), 'job')} in these spans, this one took longest")
    inside = np.flatnonzero(scope_of == number)
    return Job(describe(structure.spans[inside], keys[number]), graph, tuple(notes))
