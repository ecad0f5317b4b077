"""The segments of many paths as arrays, and as a DataFrame."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED, told
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.names.serve import is_route
from raytrace_analyze.path.activity import ACTIVITIES, tell_apart
from raytrace_analyze.path.result import SEGMENTS
from raytrace_analyze.path.walk.chains import Paths
from raytrace_analyze.path.walk.hops import CATEGORIES, FETCH, QUEUE, SELF, SUBMIT, WAIT
from raytrace_analyze.path.walk.via import VIAS, Codes, code
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.queueing.causes import CAUSES, QueueIntervals
from raytrace_analyze.queueing.rules import CauseRules
from raytrace_analyze.queueing.split import split_waits
from raytrace_analyze.sampled.slept_on import slept_on
from raytrace_analyze.schema import STATE_COLUMNS
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import Activity, Via
from raytrace_analyze.vocabulary.queues import Cause, Source

_FAILED = STATE_COLUMNS["FAILED"]


@frozen
class Segments:
    """Segments of paths: parallel arrays, scope by scope, in each the oldest first. Times are ns since the epoch."""

    scope: RowIds
    start: Nanos
    end: Nanos
    category: Codes
    row: RowIds
    via: Codes
    inferred: Flags
    blocker: RowIds
    """The run outside the scope that was waited for, -1 otherwise."""
    cause: Codes
    """Of queues, what for: a position in `CAUSES`, -1 otherwise."""
    from_events: Flags
    """Whether Ray's task events told the cause."""
    activity: Codes
    """Of own time, what it was: a position in `ACTIVITIES`, -1 otherwise."""
    place: RowIds
    """Where it was idle: a position in the places that `tell_activities` gives, -1 otherwise."""

    def __getitem__(self, chosen: RowIds | Flags) -> "Segments":
        return Segments(*(getattr(self, column.name)[chosen] for column in fields(self)))


def segments_of_paths(paths: Paths, structure: Structure) -> Segments:
    """Make segments of the states of walks: each gives one for its span, and for a run's start one for its queue."""
    states, scope = paths.states, paths.scope
    via = np.full(scope.size, -1, dtype=np.int8)
    went_on = scope[1:] == scope[:-1]
    via[:-1][went_on] = states.via[1:][went_on]
    inferred = _inferred(paths, via, structure)
    since = np.minimum(states.down, states.time)
    queues, own = np.flatnonzero(states.queue_from < since), np.flatnonzero(states.down < states.time)
    counts = np.zeros(2 * scope.size, dtype=np.bool_)
    counts[2 * queues] = counts[2 * own + 1] = True
    place = np.cumsum(counts) - 1
    # Of one state the queue is the older.
    places = np.concatenate([place[2 * queues], place[2 * own + 1]])

    def put(of_queue: Any, of_own: Any) -> Any:
        values = np.empty(places.size, dtype=of_own.dtype)
        values[places] = np.concatenate([of_queue, of_own[own]])
        return values

    return Segments(
        scope=put(scope[queues], scope),
        start=put(states.queue_from[queues], states.down),
        end=put(since[queues], states.time),
        category=put(np.full(queues.size, QUEUE, dtype=np.int8), states.category),
        row=put(states.row[queues], states.row),
        via=put(via[queues], via),
        inferred=put((inferred | (states.via == code(Via.INFERRED)))[queues], inferred),
        blocker=put(states.queue_blocker[queues], states.blocker),
        cause=np.full(places.size, -1, dtype=np.int8),
        from_events=np.zeros(places.size, dtype=np.bool_),
        activity=np.full(places.size, -1, dtype=np.int8),
        place=np.full(places.size, -1, dtype=np.int64),
    )


def _inferred(paths: Paths, via: Codes, structure: Structure) -> Flags:
    """Tell the states that lie in the control flow of a run that the walk came to by inference."""
    entered: Flags = np.flip(via == code(Via.INFERRED))
    if not entered.any():
        return entered
    row = paths.states.row
    span = np.minimum(row, structure.is_run.size - 1)
    flow = np.where(row > span, -1, np.where(structure.is_run[span], span, structure.run_above[span]))
    # The walk goes from the end to the start.
    flow_of, scope = flow[::-1], paths.scope[::-1]
    numbers = np.arange(via.size)
    begins = np.ones(via.size, dtype=np.bool_)
    begins[1:] = (flow_of[1:] != flow_of[:-1]) | (scope[1:] != scope[:-1])
    first = np.maximum.accumulate(np.where(begins, numbers, 0))
    since_entry: Flags = np.maximum.accumulate(np.where(entered, numbers, -1)) >= first
    return np.flip(since_entry)


def cut_before(segments: Segments, floor: int) -> Segments:
    """Leave out what lies before a time (ns), and cut there what began before it."""
    kept = segments[segments.end > floor]
    return replace(kept, start=np.maximum(kept.start, floor))


def split_queues(segments: Segments, rules: CauseRules) -> Segments:
    """Split the queue segments by cause; those that a run outside the scope explains stay whole."""
    is_asked = (segments.category == QUEUE) & (segments.blocker < 0)
    asked = np.flatnonzero(is_asked)
    pieces = split_waits(rules, QueueIntervals(segments.row[asked], segments.start[asked], segments.end[asked]))
    parts = segments[asked[pieces.wait]]
    parts = replace(
        parts, start=pieces.start, end=pieces.end, cause=pieces.cause.astype(np.int8), from_events=pieces.from_events
    )
    rest = np.flatnonzero(~is_asked)
    order = np.argsort(np.concatenate([rest, asked[pieces.wait]]), kind="stable")
    return _joined(segments[rest], parts)[order]


def tell_activities(segments: Segments, trace: PreparedTrace) -> tuple[Segments, list[tuple[str, str]]]:
    """Split own time by whether it was on the CPU or idle; gives in what and where it was idle, too."""
    segments = _loading_to_store(_waiting_for_replicas(segments, trace.structure), trace)
    segments = _sleeping_on(segments, trace)
    is_own = segments.category == SELF
    asked = np.flatnonzero(is_own)
    own = segments[asked]
    told = tell_apart(trace.structure, trace.clock_shift, own.row, own.start, own.end)
    dying = _is_being_killed(own, trace)[told.segment]
    parts = replace(
        own[told.segment],
        start=told.start,
        end=told.end,
        activity=np.where(dying, ACTIVITIES.index(Activity.UNKNOWN), told.activity).astype(np.int8),
        place=np.where(dying, -1, told.place),
    )
    rest = np.flatnonzero(~is_own)
    order = np.argsort(np.concatenate([rest, asked[told.segment]]), kind="stable")
    return _joined(segments[rest], parts)[order], told.places


def _is_being_killed(own: Segments, trace: PreparedTrace) -> Flags:
    """Tell the own time of runs after the call that killed their process: their ends are known from Ray alone.

    What a process still did until it was gone nobody saw.
    """
    found = np.zeros(own.row.size, dtype=np.bool_)
    ended_by, structure = trace.waiting.ended_by, trace.structure
    asked = np.flatnonzero(own.row < structure.start.size)
    if ended_by is None or asked.size == 0:
        return found
    row = own.row[asked]
    cut = ended_by[row] >= 0
    asked, row = asked[cut], row[cut]
    about = structure.spans.select("end", _FAILED)[row]
    by_ray = (about.get_column("end") == about.get_column(_FAILED)).fill_null(value=False).to_numpy()
    found[asked] = by_ray & (own.start[asked] >= structure.start[ended_by[row]])
    return found


def _loading_to_store(segments: Segments, trace: PreparedTrace) -> Segments:
    """Tell results that took long since the processes had not stored any yet, and loaded what they do so with."""
    structure, about = trace.structure, trace.rules.about
    fetched = np.flatnonzero(segments.category == FETCH)
    fetched = fetched[fetched > 0]
    before = segments.row[fetched - 1]
    known = (segments.scope[fetched - 1] == segments.scope[fetched]) & (before < structure.start.size)
    fetched, before = fetched[known], before[known]
    run = np.where(structure.is_run[before], before, structure.run_above[before])
    fetched, run = fetched[run >= 0], run[run >= 0]
    length = segments.end[fetched] - segments.start[fetched]
    stored = np.minimum(about.runs.stored_until[run], segments.end[fetched]) - segments.start[fetched]
    loads = about.loads_to_store[run] & (structure.end[run] <= segments.start[fetched]) & (2 * stored > length)
    cause, from_events = segments.cause.copy(), segments.from_events.copy()
    cause[fetched[loads]], from_events[fetched[loads]] = CAUSES.index(Cause.FUNCTION_LOAD), True
    return replace(segments, cause=cause, from_events=from_events)


def _sleeping_on(segments: Segments, trace: PreparedTrace) -> Segments:
    """Tell results that were there while a thread that polls for them slept on: that is its own time, no way back."""
    structure = trace.structure
    fetched = np.flatnonzero((segments.category == FETCH) & (segments.cause < 0))
    fetched = fetched[segments.row[fetched] < structure.start.size]
    row, since, until = segments.row[fetched], segments.start[fetched], segments.end[fetched]
    slept = slept_on(structure, trace.clock_shift, row, since, until)
    category = segments.category.copy()
    category[fetched[2 * slept > until - since]] = SELF
    return replace(segments, category=category)


def _waiting_for_replicas(segments: Segments, structure: Structure) -> Segments:
    """Tell what a request of Ray Serve waited for a replica that takes it: nobody works, or submits anything, there."""
    own = np.flatnonzero((segments.category == SELF) | (segments.category == SUBMIT))
    own = own[segments.row[own] < structure.start.size]
    own = own[structure.is_submit[segments.row[own]]]
    own = own[is_route(structure.spans.get_column("name").gather(segments.row[own])).to_numpy()]
    if own.size == 0:
        return segments
    category, cause = segments.category.copy(), segments.cause.copy()
    category[own], cause[own] = QUEUE, CAUSES.index(Cause.REPLICA)
    return replace(segments, category=category, cause=cause)


def _joined(first: Segments, second: Segments) -> Segments:
    return Segments(*(np.concatenate([getattr(first, c.name), getattr(second, c.name)]) for c in fields(Segments)))


def columns_frame(segments: Segments, scoped: Scoped, places: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Make the DataFrame of segments (columns of `SEGMENTS`); `places` are those where spans were idle."""
    spans = scoped.structure.spans
    is_span = segments.row < scoped.span_count
    row = _rows_or_null(segments.row, is_span)
    in_flight = np.zeros(is_span.size, dtype=np.bool_)
    in_flight[is_span] = scoped.structure.in_flight[segments.row[is_span]]
    is_queue = segments.cause >= 0
    source = np.where(is_queue, np.where(segments.from_events, 1, 0), -1)
    frame = pl.DataFrame(
        {
            "start_ns": segments.start,
            "end_ns": segments.end,
            "duration_ns": segments.end - segments.start,
            "category": _named(segments.category, CATEGORIES),
            "cause": _named(segments.cause, CAUSES),
            "cause_source": _named(source, (Source.SPANS, Source.TASK_EVENTS)),
            "via": _named(segments.via, VIAS),
            "inferred": segments.inferred,
            "in_flight": in_flight,
            "activity": _named(segments.activity, ACTIVITIES),
            "idle_in": _named(segments.place, [what for what, _ in places]),
            "idle_at": _named(segments.place, [where for _, where in places]),
        }
    )
    if (segments.blocker >= 0).any():
        names = spans.get_column("name").gather(_rows_or_null(segments.blocker, segments.blocker >= 0)).alias("outside")
        frame = frame.with_columns(cause=pl.coalesce(pl.format("outside: {}", names), "cause"))
    is_other = (segments.category != WAIT) & (segments.category != FETCH)
    awaited = told(spans.get_column("attributes").gather(row.set(pl.Series(is_other), None)), AWAITED)
    frame = frame.with_columns(idle_in=pl.coalesce("idle_in", awaited))
    about = [name for name in SEGMENTS if name not in frame.columns]
    return frame.with_columns(spans.select(pl.col(about).gather(row))).with_columns(
        pl.col("function").fill_null(DRIVER)
    )


def _rows_or_null(rows: RowIds, known: Flags) -> pl.Series:
    return pl.Series(rows).set(pl.Series(~known), None)


def _named(codes: RowIds | Codes, names: Sequence[str]) -> pl.Series:
    texts = pl.Series([None, *(str(name) for name in names)], dtype=pl.String)
    return texts.gather(codes.astype(np.int64) + 1)
