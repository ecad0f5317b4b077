"""What our hook's sampler saw of the threads of long runs and of the driver: CPU time, and stretches of idleness."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.attributes import CPU_DELAY_NS, CPU_NS, IDLE, json_of, told
from raytrace_analyze.table.lineage import Nanos, RowIds, flags
from raytrace_analyze.trace.ancestors import first_above
from raytrace_analyze.trace.span_arrays import Structure

SAMPLED_FROM_NS = 100_000_000
"""Spans shorter than this are not looked at."""
UNSEEN_NS = SAMPLED_FROM_NS + 50_000_000
"""As much of a span can be over before it is looked at for the first time, or again."""
_LITTLE = 0.25
"""What part of such time a thread that is idle may have been busy."""
_MOST = 0.5
"""What part of the time that is not idle a thread must have been busy for all of it to count as that."""


@dataclass(frozen=True)
class Idle:
    """A stretch in which a thread was idle; times in ns since the epoch."""

    start: int
    end: int
    place: tuple[str, str]
    """In what, and where in the program."""
    loops: bool
    """Whether the thread woke up in between, and went on waiting in the same place."""


@dataclass(frozen=True)
class Sampled:
    """What the sampler saw of a span's thread."""

    idle: tuple[Idle, ...]
    """In order, none of them overlapping."""
    is_busy: bool
    """Whether it had something to do, on the CPU or kept from it by others, for most of the time in which it neither
    waited nor was idle."""
    is_idle_nearby: bool = False
    """Whether it had next to nothing to do right before and after it was idle, where nobody looked yet, or again."""


def cpu_ns(attributes: pl.Series) -> pl.Series:
    """Read the CPU time (ns) that the sampler tells of spans, from their attributes; null where it tells none."""
    sampled = np.flatnonzero(flags(attributes.str.contains(CPU_NS, literal=True)))
    found = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(attributes))
    if not sampled.size:
        return found
    return found.scatter(sampled, told(attributes.gather(sampled), CPU_NS).cast(pl.Int64, strict=False))


def sampled_above(structure: Structure, row: RowIds, *, of_any_thread: bool = False) -> RowIds:
    """Give for each span the nearest of itself and what it is nested in that the sampler looked at, -1 for none.

    Spans that were adopted are other threads' (they lost the context), about which it says nothing; they count
    only with `of_any_thread`.
    """
    spans = structure.spans
    is_flow = structure.is_run | (spans.get_column("category") == "driver").to_numpy()
    flows = np.flatnonzero(is_flow & (structure.end - structure.start >= SAMPLED_FROM_NS))
    is_sampled = np.zeros(is_flow.size, dtype=np.int64)
    is_told = flags(spans.get_column("attributes").gather(flows).str.contains(CPU_NS, literal=True))
    is_sampled[flows[is_told]] = 1
    nest_parent = structure.nest_parent
    if not of_any_thread:
        nest_parent = nest_parent.copy()
        nest_parent[structure.adopted] = -1
    return first_above(nest_parent, is_sampled, row, np.ones(row.size, dtype=np.int64))


def read_samples(structure: Structure, clock_shift: Nanos, rows: RowIds) -> dict[int, Sampled]:
    """Read what the sampler saw of some spans (rows); those of which that cannot be read are left out.

    `clock_shift` is what was added to the times of each row of the table (ns): the samples' times need the same.
    """
    waits = _waits_in(structure, rows)
    found = {}
    for row, text in zip(rows.tolist(), structure.spans.get_column("attributes").gather(rows), strict=True):
        about = json_of(text, {})
        cpu_ns = about.get(CPU_NS)
        if not isinstance(cpu_ns, int):
            continue
        idle, left_out_ns = _idle(about.get(IDLE), int(clock_shift[row]))
        covered = sorted([*waits.get(row, ()), *((one.start, one.end) for one in idle)])
        rest = int(structure.end[row] - structure.start[row]) - _covered(covered) - left_out_ns
        delay_ns = about.get(CPU_DELAY_NS)
        busy_ns = cpu_ns + (delay_ns if isinstance(delay_ns, int) else 0)
        near = _near(covered, int(structure.start[row]), int(structure.end[row]))
        found[row] = Sampled(idle, busy_ns >= _MOST * max(rest, 1), bool(idle) and busy_ns <= _LITTLE * near)
    return found


def _near(covered: list[tuple[int, int]], start: int, end: int) -> int:
    """Sum the short gaps (ns) between what is known of a span, in order, and its start and end."""
    gaps = zip([start, *(end for _, end in covered)], [*(begin for begin, _ in covered), end], strict=True)
    return sum(after - before for before, after in gaps if 0 < after - before <= UNSEEN_NS)


def _covered(intervals: list[tuple[int, int]]) -> int:
    """Sum the time (ns) that intervals, in order, cover together."""
    covered, until = 0, intervals[0][0] if intervals else 0
    for start, end in intervals:
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
                loops=one.get("loops") is True,
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
            kept.append(Idle(begin, stretch.end, stretch.place, stretch.loops))
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
