"""The critical paths of all jobs or traces of a table."""

import numpy as np
import polars as pl

from raytrace_analyze.errors import UsageError
from raytrace_analyze.lineage import Rows
from raytrace_analyze.path.cause_rules import CauseRules
from raytrace_analyze.path.causes import CAUSES, Cause, Waits
from raytrace_analyze.path.clocks import build_corrected
from raytrace_analyze.path.columns import (
    Segments,
    columns_frame,
    merge_segments,
    segments_of_paths,
    segments_of_steps,
    split_queues,
)
from raytrace_analyze.path.engine import find_paths
from raytrace_analyze.path.hops import Stepper
from raytrace_analyze.path.origins import Options
from raytrace_analyze.path.queue_causes import SlotWaits, split_waits
from raytrace_analyze.path.relations import Runs, relate_runs
from raytrace_analyze.path.scoped import Scoped, scope_spans
from raytrace_analyze.path.scopes import scope_table
from raytrace_analyze.path.walk import SLOT_WITHIN_NS, Queues, Walk

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
    scope_of, keys = scope_table(structure.spans, scopes)
    scoped = scope_spans(structure, scope_of, keys.height)
    runs = relate_runs(structure)
    rules = CauseRules(structure, runs, task_events, spans)
    has_events = task_events is not None and not task_events.is_empty()
    segments = find_segments(scoped, runs, options, rules if has_events else None)
    split = split_queues(segments, rules)
    frame = columns_frame(split, scoped)
    return pl.select(*(keys.get_column(name).gather(split.scope).alias(to) for name, to in _KEYS)).hstack(frame)


_KEYS = (("id", "scope"), ("session", "session"))


def parse_queues(wanted: str) -> Queues:
    """Read what to do with queues. Raises UsageError for any other word."""
    try:
        return Queues(wanted)
    except ValueError:
        raise UsageError(f"queues can be {' or '.join(Queues)}, not {wanted!r}") from None


def find_segments(scoped: Scoped, runs: Runs, options: Options, rules: CauseRules | None = None) -> Segments:
    """Walk every scope; `rules` with task events let the walk follow slots of a node."""
    scopes = np.arange(scoped.start.size - scoped.span_count)
    if options.overlap_tolerance:
        return _walk(scoped, runs, options, rules, scopes)
    slots = None if rules is None else _Slots(rules)
    paths = find_paths(Stepper(scoped, runs, options, slots), scopes.size)
    found = segments_of_paths(paths, scoped.structure)
    if paths.unsettled.size == 0:
        return found
    return merge_segments(found, _walk(scoped, runs, options, rules, paths.unsettled))


def _walk(scoped: Scoped, runs: Runs, options: Options, rules: CauseRules | None, scopes: Rows) -> Segments:
    """Walk some scopes one after another, as `critical_path` does."""
    walk = Walk(
        scoped,
        runs,
        queues=options.queues,
        infer=options.infer,
        infer_within_ns=options.infer_within_ns,
        slot_waits=None if rules is None else SlotWaits(rules),
        overlap_tolerance=options.overlap_tolerance,
    )
    walked = [walk.from_root(scope) for scope in scopes.tolist()]
    scope = np.repeat(scopes, [len(steps) for steps in walked])
    return segments_of_steps(scope, [step for steps in walked for step in steps])


class _Slots:
    """Tells which runs waited for a slot of their node, by the task events."""

    def __init__(self, rules: CauseRules) -> None:
        self._rules = rules
        self.on_node = rules.on_node

    def nodes(self, run: Rows, since: Rows, until: Rows) -> Rows:
        """Give the number of the node where each run waited for a slot in that time, -1 where it did not."""
        found = np.full(run.size, -1, dtype=np.int64)
        known = np.flatnonzero(self._rules.states.known[run])
        pieces = split_waits(self._rules, Waits(run[known], since[known], until[known]))
        waited = known[pieces.wait[pieces.cause == CAUSES.index(Cause.NO_SLOT)]]
        found[waited] = self._rules.node[run[waited]]
        return found
