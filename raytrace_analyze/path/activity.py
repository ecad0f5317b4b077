"""What a span's own time was: on the CPU, idle in something, or not known.

Our hook's sampler looks at the threads of long runs and of the driver. It tells stretches in which a thread was idle,
and in what; and how much CPU time the thread took. What lies between the stretches was on the CPU if it took most of
that time there; else, as where nobody looked, it is not known what it was.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.attributes import CPU_NS, IDLE, json_of, told
from raytrace_analyze.table.lineage import Nanos, RowIds, flags
from raytrace_analyze.trace.ancestors import first_above
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.vocabulary import Activity

_FROM_NS = 100_000_000
"""Spans shorter than this are not looked at."""
_MOST = 0.5
"""What part of the time that is not idle must have been CPU time for all of it to count as that."""


ACTIVITIES = tuple(Activity)
"""An activity's number in arrays is its position here; -1 is none: a segment that is no own time."""


@dataclass(frozen=True)
class Idle:
    """A stretch in which a thread was idle; times in ns since the epoch."""

    start: int
    end: int
    place: tuple[str, str]
    """In what, and where in the program."""


@dataclass(frozen=True)
class Sampled:
    """What the sampler saw of a span's thread."""

    idle: tuple[Idle, ...]
    """In order, none of them overlapping."""
    is_busy: bool
    """Whether it was on the CPU for most of the time in which it neither waited nor was idle."""


@dataclass(frozen=True)
class Stretches:
    """The own time of some segments told apart: parallel arrays, segment by segment, oldest first; they tile it."""

    segment: RowIds
    """The position of the segment among those asked about."""
    start: Nanos
    end: Nanos
    activity: RowIds
    place: RowIds
    """The position of where it was idle in `places`, -1 where it was not."""
    places: list[tuple[str, str]]


def tell_apart(structure: Structure, clock_shift: Nanos, row: RowIds, start: Nanos, end: Nanos) -> Stretches:
    """Tell what the own time of spans was: parallel arrays of rows (beyond the last for a virtual root) and times.

    `clock_shift` is what was added to the times of each row of the table (ns): the samples' times need the same.
    """
    owner = _sampled_above(structure, row)
    sampled = read_samples(structure, clock_shift, np.unique(owner[owner >= 0]))
    unknown = np.flatnonzero(owner < 0)
    asked = np.flatnonzero(owner >= 0)
    places: dict[tuple[str, str], int] = {}
    questions = zip(*(values[asked].tolist() for values in (owner, start, end)), strict=True)
    found = [
        (number, begin, finish, ACTIVITIES.index(activity), -1 if at is None else places.setdefault(at, len(places)))
        for number, (span, since, until) in zip(asked.tolist(), questions, strict=True)
        for begin, finish, activity, at in _pieces(sampled.get(span), since, until)
    ]
    told = np.array(found, dtype=np.int64).reshape(-1, 5).T
    nothing = np.full(unknown.size, ACTIVITIES.index(Activity.UNKNOWN)), np.full(unknown.size, -1)
    columns = np.concatenate([told, np.stack([unknown, start[unknown], end[unknown], *nothing])], axis=1)
    columns = columns[:, np.argsort(columns[0], kind="stable")]
    segment, begins, ends, activity, place = columns
    return Stretches(segment, begins, ends, activity, place, list(places))


def cpu_ns(attributes: pl.Series) -> pl.Series:
    """Read the CPU time (ns) that the sampler tells of spans, from their attributes; null where it tells none."""
    sampled = np.flatnonzero(flags(attributes.str.contains(CPU_NS, literal=True)))
    found = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(attributes))
    if not sampled.size:
        return found
    return found.scatter(sampled, told(attributes.gather(sampled), CPU_NS).cast(pl.Int64, strict=False))


def _sampled_above(structure: Structure, row: RowIds) -> RowIds:
    """Give for each span the nearest of itself and what it is nested in that the sampler looked at, -1 for none.

    Spans that were adopted are other threads' (they lost the context), about which it says nothing.
    """
    spans = structure.spans
    is_flow = structure.is_run | (spans.get_column("category") == "driver").to_numpy()
    flows = np.flatnonzero(is_flow & (structure.end - structure.start >= _FROM_NS))
    is_sampled = np.zeros(is_flow.size, dtype=np.int64)
    told = flags(spans.get_column("attributes").gather(flows).str.contains(CPU_NS, literal=True))
    is_sampled[flows[told]] = 1
    nest_parent = structure.nest_parent.copy()
    nest_parent[structure.adopted] = -1
    return first_above(nest_parent, is_sampled, row, np.ones(row.size, dtype=np.int64))


def _pieces(
    sampled: Sampled | None, since: int, until: int
) -> Iterator[tuple[int, int, Activity, tuple[str, str] | None]]:
    if sampled is None:
        yield since, until, Activity.UNKNOWN, None
        return
    rest = Activity.CPU if sampled.is_busy else Activity.UNKNOWN
    for idle in sampled.idle:
        begin, finish = max(idle.start, since), min(idle.end, until)
        if begin >= finish:
            continue
        if since < begin:
            yield since, begin, rest, None
        yield begin, finish, Activity.IDLE, idle.place
        since = finish
    if since < until:
        yield since, until, rest, None


def read_samples(structure: Structure, clock_shift: Nanos, rows: RowIds) -> dict[int, Sampled]:
    """Read what the sampler saw of some spans (rows); those of which that cannot be read are left out."""
    waits = _waits_in(structure, rows)
    found = {}
    for row, text in zip(rows.tolist(), structure.spans.get_column("attributes").gather(rows), strict=True):
        about = json_of(text, {})
        cpu_ns = about.get(CPU_NS)
        if not isinstance(cpu_ns, int):
            continue
        idle, left_out_ns = _idle(about.get(IDLE), int(clock_shift[row]))
        idle_or_waiting = _covered([*waits.get(row, ()), *((one.start, one.end) for one in idle)])
        rest = int(structure.end[row] - structure.start[row]) - idle_or_waiting - left_out_ns
        found[row] = Sampled(idle, cpu_ns >= _MOST * max(rest, 1))
    return found


def _covered(intervals: list[tuple[int, int]]) -> int:
    """Sum the time (ns) that intervals cover together."""
    covered, until = 0, min((start for start, _ in intervals), default=0)
    for start, end in sorted(intervals):
        covered += max(end - max(start, until), 0)
        until = max(until, end)
    return covered


def _idle(text: Any, shift: int) -> tuple[tuple[Idle, ...], int]:
    """Read idle stretches, and how long those were that were left out (ns); nothing of what is none."""
    try:
        told = json.loads(text)
        stretches = [
            Idle(
                start=int(one["start_ns"]) + shift,
                end=int(one["end_ns"]) + shift,
                place=(str(one.get("in", "")), str(one.get("at", ""))),
            )
            for one in told["stretches"]
        ]
        left_out_ns = int(told.get("left_out_ns", 0))
    except (TypeError, ValueError, KeyError, AttributeError):
        return (), 0
    kept: list[Idle] = []
    for stretch in sorted(stretches, key=lambda one: (one.start, one.end)):
        begin = max(stretch.start, kept[-1].end) if kept else stretch.start
        if begin < stretch.end:
            kept.append(Idle(begin, stretch.end, stretch.place))
    return tuple(kept), max(left_out_ns, 0)


def _waits_in(structure: Structure, rows: RowIds) -> dict[int, list[tuple[int, int]]]:
    """Give the start and end of the waits right in some spans."""
    is_wait = structure.spans.get_column("ready_task_ids").is_not_null().to_numpy() & ~structure.is_run
    waits = np.flatnonzero(is_wait & np.isin(structure.nest_parent, rows))
    found: dict[int, list[tuple[int, int]]] = {}
    for row, start, end in zip(
        *(values[waits].tolist() for values in (structure.nest_parent, structure.start, structure.end)), strict=True
    ):
        found.setdefault(row, []).append((start, end))
    return found
