"""Why runs waited before they started: the queue of each, split by cause, and who held it."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from raytrace_analyze.queueing.causes import CAUSES, CauseBound, Codes, QueueIntervals
from raytrace_analyze.queueing.rules import UNKNOWN_FROM_NS, CauseRules
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.asof import latest_until
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.queues import Cause, Source

QUEUE_PIECES = pl.Schema(
    {
        "span_id": pl.String,
        "trace_id": pl.String,
        "task_id": pl.String,
        "attempt": pl.Int32,
        "function": pl.String,
        "session": pl.String,
        "job_id": pl.String,
        "start_ns": pl.Int64,
        "end_ns": pl.Int64,
        "duration_ns": pl.Int64,
        "cause": pl.String,
        "source": pl.String,
        "holder_span_id": pl.String,
        "holder_function": pl.String,
        "holder_task_id": pl.String,
        "holder_actor_id": pl.String,
        "holder_node_id": pl.String,
        "holder_ns": pl.Int64,
        "ended_meanwhile": pl.Int64,
        "node_id": pl.String,
        "on_actor": pl.Boolean,
        "resource": pl.String,
    }
)
"""Columns of `causes_frame`. Times are ns since the epoch. The holder is the run whose end ended the piece, null where
none is known; `holder_ns` is how much of the piece it held; `ended_meanwhile` counts the runs that ended during the
piece on the actor, for `actor-busy`, or on the node, for `no-slot`, the holder among them; null for other causes.
`node_id` is where the run was, `on_actor` tells calls of actors' methods. `resource` is what came free last, for
`no-slot`, where that is something else than CPUs."""

_CHUNK = 1 << 14
"""How many runs are looked at at a time: bounds the memory."""


@frozen
class Pieces:
    """QueueIntervals split by cause: parallel arrays, those of one wait one after another, oldest first."""

    wait: RowIds
    """The position of the wait among those asked for."""
    start: Nanos
    end: Nanos
    cause: Codes
    blocked_by: RowIds
    """The run whose end ended the piece, -1 where none is known."""
    from_events: Flags


def split_waits(rules: CauseRules, waits: QueueIntervals) -> Pieces:
    """Split waits by cause; each is tiled by its pieces, none of them empty, no cause twice in a row."""
    parts = [_split(rules, waits, first) for first in range(0, waits.run.size, _CHUNK)] or [_split(rules, waits, 0)]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Pieces.__dataclass_fields__}
    return Pieces(**joined)


def _split(rules: CauseRules, waits: QueueIntervals, first: int) -> Pieces:
    chunk = QueueIntervals(*(values[first : first + _CHUNK] for values in (waits.run, waits.since, waits.until)))
    runs = rules.about.runs
    is_method = (runs.actor[chunk.run] >= 0) & ~runs.is_creation[chunk.run]
    known = rules.about.states.known[chunk.run]
    parts = []
    for chosen, answers in (
        (~is_method & ~known, rules.of_tasks),
        (is_method & ~known, rules.of_methods),
        (~is_method & known, rules.of_tasks_with_events),
        (is_method & known, rules.of_methods_with_events),
    ):
        if chosen.any():
            tiled = _tile(np.flatnonzero(chosen), chunk[chosen], answers(chunk[chosen]))
            parts.append(_without_long_ways(rules, chunk.run, tiled))
    if not parts:
        none = np.empty(0, dtype=np.int64)
        return Pieces(none, none, none, none.astype(np.int8), none, none.astype(np.bool_))
    wait, start, end, cause, blocked_by = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(wait, kind="stable")
    wait = wait[order]
    return Pieces(wait + first, start[order], end[order], cause[order], blocked_by[order], known[wait])


_Tiles = tuple[RowIds, Nanos, Nanos, Codes, RowIds]
"""Pieces as parallel arrays: wait, start, end, cause, blocked_by."""


def _without_long_ways(rules: CauseRules, run: RowIds, tiles: _Tiles) -> _Tiles:
    """Call what took too long for Ray's own way by another name; `run` is that of each wait.

    In a process that has just begun, that is loading code, else it is not known.
    """
    wait, start, end, cause, blocked_by = tiles
    is_long = (cause == CAUSES.index(Cause.DISPATCH)) & (end - start > UNKNOWN_FROM_NS)
    if not is_long.any():
        return tiles
    named = np.where(
        rules.about.begins_process(run[wait]), CAUSES.index(Cause.FUNCTION_LOAD), CAUSES.index(Cause.UNKNOWN)
    )
    return _joined(wait, start, end, np.where(is_long, named, cause).astype(np.int8), blocked_by)


def _tile(number: RowIds, waits: QueueIntervals, answers: Sequence[CauseBound]) -> _Tiles:
    """Clip answers to one another and to their wait, whatever the clocks say, and join what has the same cause."""
    ends = np.stack([np.clip(answer.time, waits.since, np.maximum(waits.until, waits.since)) for answer in answers])
    ends = np.maximum.accumulate(ends, axis=0)
    starts = np.concatenate([waits.since[None, :], ends[:-1]])
    kept = (ends > starts).T
    wait, start, end = (np.broadcast_to(number, ends.shape).T[kept], starts.T[kept], ends.T[kept])
    cause = np.stack([answer.cause for answer in answers]).T[kept]
    blocked_by = np.stack([answer.blocked_by for answer in answers]).T[kept]
    return _joined(wait, start, end, cause, blocked_by)


def _joined(wait: RowIds, start: Nanos, end: Nanos, cause: Codes, blocked_by: RowIds) -> _Tiles:
    """Make one of neighbours that have the same cause."""
    begins = np.ones(wait.size, dtype=np.bool_)
    begins[1:] = (wait[1:] != wait[:-1]) | (cause[1:] != cause[:-1])
    lasts = np.append(begins[1:], True)[: wait.size]
    return wait[begins], start[begins], end[lasts], cause[begins], blocked_by[lasts]


def causes_frame(rules: CauseRules, waits: QueueIntervals) -> pl.DataFrame:
    """Split waits by cause and tell who held them: columns of `QUEUE_PIECES`."""
    structure, pieces = rules.about.structure, split_waits(rules, waits)
    run, blocked_by = waits.run[pieces.wait], pl.Series(pieces.blocked_by).replace(-1, None)
    spans = structure.spans
    about = spans.select("span_id", "trace_id", structure.run_task, "attempt", "function", "session", "job_id")
    held = spans.select("span_id", "function", structure.run_task, "actor_id", "node_id")
    frame = about[run].with_columns(
        start_ns=pl.Series(pieces.start),
        end_ns=pl.Series(pieces.end),
        cause=_named(pieces.cause, CAUSES),
        source=_named(pieces.from_events.astype(np.int8), (Source.SPANS, Source.TASK_EVENTS)),
        **{f"holder_{name}": held.get_column(name).gather(blocked_by) for name in held.columns},
        holder_ns=_held(rules, pieces),
        ended_meanwhile=_ended(rules, run, pieces),
        node_id=spans.get_column("node_id").gather(pl.Series(run)),
        resource=_resource(rules, run, pieces),
        on_actor=pl.Series(rules.about.runs.actor[run] >= 0) & ~pl.Series(rules.about.runs.is_creation[run]),
    )
    frame = frame.with_columns(duration_ns=pl.col("end_ns") - pl.col("start_ns"))
    return frame.select(QUEUE_PIECES.names()).cast(QUEUE_PIECES)


def _named(codes: Codes, names: Sequence[str]) -> pl.Series:
    return pl.Series(codes).cast(pl.Int32).replace_strict(dict(enumerate(map(str, names))), return_dtype=pl.String)


def _held(rules: CauseRules, pieces: Pieces) -> pl.Series:
    blocked_by, known = np.maximum(pieces.blocked_by, 0), pieces.blocked_by >= 0
    start, end = (
        np.maximum(rules.about.held_from[blocked_by], pieces.start),
        np.minimum(rules.about.structure.end[blocked_by], pieces.end),
    )
    return pl.select(pl.when(pl.Series(known)).then(pl.Series(np.maximum(end - start, 0)))).to_series()


def _resource(rules: CauseRules, run: RowIds, pieces: Pieces) -> pl.Series:
    """Name what came free last of what a run demands, where it had no slot and that is something else than CPUs."""
    found = np.full(run.size, -1, dtype=np.int64)
    chosen = np.flatnonzero(pieces.cause == CAUSES.index(Cause.NO_SLOT))
    if chosen.size:
        found[chosen] = rules.about.slots.last_resource(run[chosen], pieces.end[chosen])
    names = dict(enumerate(rules.about.slots.demands.resources)) if chosen.size else {}
    named = pl.Series(found).replace_strict(names, default=None, return_dtype=pl.String)
    return pl.select(pl.when(named != "CPU").then(named)).to_series()


def _ended(rules: CauseRules, run: RowIds, pieces: Pieces) -> pl.Series:
    """Count the runs that ended during the piece where they stood in the way."""
    counts = np.zeros(run.size, dtype=np.int64)
    counted = np.zeros(run.size, dtype=np.bool_)
    runs = rules.about.runs
    for cause, timed, group in (
        (Cause.ACTOR_BUSY, runs.on_actor, runs.actor),
        (Cause.NO_SLOT, rules.about.on_node, rules.about.node),
    ):
        chosen = np.flatnonzero((pieces.cause == CAUSES.index(cause)) & (group[run] >= 0))
        place = group[run[chosen]]
        last, first = (latest_until(timed, place, times[chosen]) for times in (pieces.end, pieces.start))
        before = np.where(first >= 0, first, timed.first[np.minimum(place, timed.first.size - 1)] - 1)
        counts[chosen] = np.where(last >= 0, last - before, 0)
        counted[chosen] = True
    return pl.select(pl.when(pl.Series(counted)).then(pl.Series(counts))).to_series()
