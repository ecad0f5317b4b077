"""The critical paths of all jobs or traces of a table."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.choices import choose
from raytrace_analyze.path.options import SLOT_WITHIN_NS, PathOptions, path_options
from raytrace_analyze.path.result import SEGMENTS
from raytrace_analyze.path.segments import Segments, columns_frame, segments_of_paths, split_queues, tell_activities
from raytrace_analyze.path.walk.batch import find_paths
from raytrace_analyze.path.walk.step import Stepper
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.queueing.rules import CauseRules
from raytrace_analyze.queueing.slot_waits import SlotWaits
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.vocabulary.options import Scopes

_NO_SEGMENTS = pl.Schema([("scope", pl.String), ("session", pl.String), *SEGMENTS.items()])


def critical_paths(
    spans: Trace,
    task_events: pl.DataFrame | None = None,
    *,
    scopes: str = "jobs",
    queues: str = "follow",
    infer: bool = True,
    infer_within_ns: int = SLOT_WITHIN_NS,
    clock_correct: bool = True,
    overlap_tolerance: float = 0.0,
    options: PathOptions | None = None,
) -> pl.DataFrame:
    """Find the critical path of every job (`jobs`), trace (`traces`) or request of Ray Serve (`requests`) of a table.

    Takes a span table or a prepared trace.

    Gives the segments of all of them: the columns of `path.result.SEGMENTS` behind `scope` (its id) and `session`,
    scope by scope in order of start. The options are those of `critical_path`. Raises UsageError for scopes of
    another kind.
    """
    choose(Scopes, scopes, "kind of scopes")
    options = path_options(options, queues, infer, infer_within_ns, overlap_tolerance)
    return paths_of(prepare(spans, task_events, clock_correct=clock_correct), scopes, options)


def paths_of(trace: PreparedTrace, scopes: str, options: PathOptions, numbers: RowIds | None = None) -> pl.DataFrame:
    """Find the paths of all `jobs`, `traces` or `requests`, or of those with some numbers, in order.

    Gives what `critical_paths` does.
    """
    # There may be no requests.
    return pl.concat([_NO_SEGMENTS.to_frame(), *some_paths_of(trace, scopes, options, numbers)])


def some_paths_of(
    trace: PreparedTrace, scopes: str, options: PathOptions, numbers: RowIds | None = None
) -> Iterator[pl.DataFrame]:
    """Do what `paths_of` does; gives the paths of some scopes at a time, so that not all are in memory."""
    keys, scoped, rules = trace.scopes(scopes).table, trace.scoped(scopes), trace.rules
    for segments in find_segments(trace, scoped, options, numbers):
        split, places = tell_activities(split_queues(segments, rules), trace)
        about = keys.select(scope="id", session="session")[split.scope]
        yield about.hstack(columns_frame(split, scoped, places))


def find_segments(
    trace: PreparedTrace, scoped: Scoped, options: PathOptions, scopes: RowIds | None = None
) -> Iterator[Segments]:
    """Walk every scope of a trace, or some; gives the segments of some scopes at a time, in order."""
    if scopes is None:
        scopes = np.arange(scoped.start.size - scoped.span_count)
    for paths in find_paths(stepper_of(trace, scoped, options), scopes):
        yield segments_of_paths(paths, scoped.structure)


def stepper_of(trace: PreparedTrace, scoped: Scoped, options: PathOptions) -> Stepper:
    """Give what finds the steps of walks through scopes of a trace."""
    return Stepper(scoped, trace.runs, options, _slot_waits(trace.rules), trace.waiting)


def _slot_waits(rules: CauseRules) -> SlotWaits | None:
    """Give what task events tell of waits for slots, None where there are none."""
    return SlotWaits(rules) if rules.about.states.known.any() else None
