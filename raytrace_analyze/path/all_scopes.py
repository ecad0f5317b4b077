"""The critical paths of all jobs or traces of a table."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.clocks.correction import build_corrected
from raytrace_analyze.errors import UsageError
from raytrace_analyze.path.batch import find_paths
from raytrace_analyze.path.predecessors import SLOT_WITHIN_NS, Options
from raytrace_analyze.path.segments import Segments, columns_frame, segments_of_paths, split_queues
from raytrace_analyze.path.step import Stepper
from raytrace_analyze.queueing.rules import CauseRules
from raytrace_analyze.queueing.split import SlotWaits
from raytrace_analyze.queues import Queues
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.clipping import Scoped, scope_spans
from raytrace_analyze.trace.relations import Runs, relate_runs
from raytrace_analyze.trace.scopes import scope_table
from raytrace_analyze.trace.span_arrays import Structure

KINDS = ("jobs", "traces")


def critical_paths(
    spans: pl.DataFrame,
    task_events: pl.DataFrame | None = None,
    *,
    scopes: str = "jobs",
    queues: str = "follow",
    infer: bool = True,
    infer_within_ns: int = SLOT_WITHIN_NS,
    clock_correct: bool = True,
    overlap_tolerance: float = 0.0,
) -> pl.DataFrame:
    """Find the critical path of every job (`jobs`) or every trace (`traces`) of a span table.

    Gives the segments of all of them: the columns of `SEGMENTS` behind `scope` (its id) and `session`, scope by scope
    in order of start. The options are those of `critical_path`. Raises UsageError for scopes of another kind.
    """
    if scopes not in KINDS:
        raise UsageError(f"scopes can be {' or '.join(KINDS)}, not {scopes!r}")
    options = Options(parse_queues(queues), infer, infer_within_ns, overlap_tolerance)
    structure, _ = build_corrected(spans, clock_correct=clock_correct)
    return paths_of(structure, CauseRules(structure, relate_runs(structure), task_events, spans), scopes, options)


def paths_of(structure: Structure, rules: CauseRules, scopes: str, options: Options) -> pl.DataFrame:
    """Find the paths of all `jobs` or `traces`; gives what `critical_paths` does."""
    scope_of, keys = scope_table(structure.spans, scopes)
    scoped = scope_spans(structure, scope_of, keys.height)
    frames = []
    for segments in find_segments(scoped, rules.runs, options, slot_waits(rules)):
        split = split_queues(segments, rules)
        about = keys.select(scope="id", session="session")[split.scope]
        frames.append(about.hstack(columns_frame(split, scoped)))
    return pl.concat(frames)


def parse_queues(wanted: str) -> Queues:
    """Read what to do with queues. Raises UsageError for any other word."""
    try:
        return Queues(wanted)
    except ValueError:
        raise UsageError(f"queues can be {' or '.join(Queues)}, not {wanted!r}") from None


def find_segments(
    scoped: Scoped, runs: Runs, options: Options, slots: SlotWaits | None = None, scopes: RowIds | None = None
) -> Iterator[Segments]:
    """Walk every scope, or some; gives the segments of some scopes at a time, in order.

    `slots` tells from task events who waited for a slot of its node.
    """
    if scopes is None:
        scopes = np.arange(scoped.start.size - scoped.span_count)
    for paths in find_paths(Stepper(scoped, runs, options, slots), scopes):
        yield segments_of_paths(paths, scoped.structure)


def slot_waits(rules: CauseRules) -> SlotWaits | None:
    """Give what task events tell of waits for slots, None where there are none."""
    return SlotWaits(rules) if rules.states.known.any() else None
