"""What our hook's sampler saw of the threads of long runs and of the driver: CPU time, and stretches of idleness."""

import json
import math
import re
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import BUSY, CPU_DELAY_NS, CPU_NS, IDLE, json_of
from raytrace_analyze.names.serve import is_handle
from raytrace_analyze.sampled.copies import Copy, find_copies, find_puts, is_in_put
from raytrace_analyze.table.lineage import Nanos, RowIds, flags
from raytrace_analyze.trace.ancestors import first_above
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

SAMPLED_FROM_NS = 100_000_000
"""Spans shorter than this are not looked at."""
UNSEEN_NS = SAMPLED_FROM_NS + 50_000_000
"""As much of a span can be over before it is looked at for the first time, or again."""
LOOKS_NS = 100_000_000
"""How far the start or end of what a thread was seen to be in may be from the true one: looks are apart."""
SHORT_NS = 300_000_000
"""A sleep so short can be without a stretch that tells it: looks are apart, and a busy machine wakes threads late."""
_LITTLE = 0.25
"""What part of such time a thread that is idle may have been busy."""
_MOST = 0.5
"""What part of the time that is not idle a thread must have been busy for all of it to count as that."""


Place = tuple[str, str]
"""In what a thread was idle, and where in the program."""

FOR_OWN_THREADS = ("threading.Thread.join", "concurrent.futures.")
"""In what a thread is idle that waits for others of its process."""
_FOR_OTHERS = ("ray.", *FOR_OWN_THREADS)
IS_FOR_OTHERS = rf'"in\\*":\s*\\*"(?:{"|".join(map(re.escape, _FOR_OTHERS))})'
"""What the text of a stretch has (a regular expression) that `is_for_others`; its quotes are escaped in attributes."""


@frozen
class Idle:
    """A stretch in which a thread was idle; times in ns since the epoch."""

    start: int
    end: int
    place: Place
    loops: bool
    """Whether the thread woke up in between, looked for something, and went on waiting in the same place."""
    busy_ns: int = 0
    """How long it had something to do in between."""
    again: bool = False
    """Whether others are in the same place, in a loop that can end before its turns are over."""


class Busy(NamedTuple):
    """When a thread was on the CPU, or kept from it by others, most of the time; times in ns since the epoch."""

    start: int
    end: int
    busy_ns: int
    place: str = ""
    """The line of the program (`file:line`) in which it was longest; empty where that is not known."""
    imports_ns: int = 0
    """How much of that it imported modules."""

    @property
    def importing(self) -> float:
        """For what part of the time it imported modules (0 to 1)."""
        return min(self.imports_ns / (self.end - self.start), 1)


_MOST_NS = 1 << 62
"""Beyond all times that a table holds: whoever wrote a file may have written anything."""


@frozen
class _LeftOut:
    """The stretches that are not told one by one."""

    idle_ns: int = 0
    busy_ns: int = 0
    places: tuple[tuple[Place, int], ...] = ()
    """The places where it was longest, and how long in each (ns)."""
    short_ns: int = 0
    """How long looks found it idle in sleeps that are too short for a stretch."""


@frozen
class Sampled:
    """What the sampler saw of a span's thread."""

    idle: tuple[Idle, ...]
    """In order, none of them overlapping."""
    is_busy: bool
    """Whether it had something to do, on the CPU or kept from it by others, for most of the time of which nothing else
    is known: in which it neither waited, nor submitted, nor was idle or busy as told."""
    is_idle_nearby: bool = False
    """Whether it had next to nothing to do right before and after it was idle, where nobody looked yet, or again."""
    does_little: bool = False
    """Whether it got the CPU for less than half of that time: it may have been kept from it by others."""
    left_out: tuple[tuple[Place | None, float], ...] = ()
    """Where it was idle in stretches that are not told one by one (None: not known), each with its part of the long
    gaps between those that are told."""
    busy: tuple[Busy, ...] = ()
    """When it was busy most of the time, in order, where that is told."""


def is_for_others(place: Place) -> bool:
    """Tell whether a thread is idle in a call of Ray's, or for threads of its own: for what, only those could tell."""
    return place[0].startswith(_FOR_OTHERS)


def sampled_above(structure: Structure, row: RowIds, *, of_any_thread: bool = False) -> RowIds:
    """Give for each span the nearest of itself and what it is nested in that the sampler looked at, -1 for none.

    Spans that were adopted are other threads' (they lost the context), about which it says nothing; they count
    only with `of_any_thread`.
    """
    spans = structure.spans
    is_flow = structure.is_run | (spans.get_column("category") == "driver").to_numpy()
    is_long = structure.end - structure.start >= SAMPLED_FROM_NS
    # A request of Ray Serve within a run: another thread handles it than that which the run is in.
    inner = np.flatnonzero(flags(spans.get_column("kind") == "CONSUMER") & ~is_flow & is_long)
    is_flow[inner[flags(is_handle(spans.get_column("name").gather(inner)))]] = True
    is_sampled = np.zeros(is_flow.size, dtype=np.int64)
    is_sampled[looked_at(structure, np.flatnonzero(is_flow & is_long))] = 1
    nest_parent = structure.nest_parent
    if not of_any_thread:
        nest_parent = nest_parent.copy()
        nest_parent[structure.adopted] = -1
    return first_above(nest_parent, is_sampled, row, np.ones(row.size, dtype=np.int64))


def looked_at(structure: Structure, rows: RowIds) -> RowIds:
    """Keep the rows of which the sampler tells something."""
    texts = structure.spans.get_column("attributes").gather(rows)
    return rows[flags(texts.str.contains(CPU_NS, literal=True))]


def read_samples(structure: Structure, clock_shift: Nanos, rows: RowIds) -> dict[int, Sampled]:
    """Read what the sampler saw of some spans (rows); those of which that cannot be read are left out.

    `clock_shift` is what was added to the times of each row of the table (ns): the samples' times need the same.
    """
    seen = {}
    for row, text in zip(rows.tolist(), structure.spans.get_column("attributes").gather(rows), strict=True):
        about = json_of(text, {})
        if isinstance(about.get(CPU_NS), int):
            shift = int(clock_shift[row])
            seen[row] = about, *_idle(about.get(IDLE), shift), _busy(about.get(BUSY), shift)
    if any(is_in_put(one.place[0]) for _, idle, *_ in seen.values() for one in idle):
        puts = find_puts(structure)
        copies = find_copies(structure, puts, sampled_above(structure, puts))
        seen = {row: (about, _without(idle, copies.get(row, [])), *rest) for row, (about, idle, *rest) in seen.items()}
    gaps = _find_gaps(structure, {row: [*idle, *busy] for row, (_, idle, _, busy) in seen.items()})
    found = {}
    for row, (about, idle, left_out, busy) in seen.items():
        rest_ns, submits_ns, near_ns, room_ns = gaps[row]
        rest_ns = max(rest_ns - left_out.idle_ns, 1)
        delay_ns = about.get(CPU_DELAY_NS)
        known_ns = left_out.busy_ns + sum(one.busy_ns for one in idle) + sum(one.busy_ns for one in busy)
        on_cpu_ns = about[CPU_NS] - known_ns
        busy_ns = on_cpu_ns + (delay_ns if isinstance(delay_ns, int) else 0)
        naps = left_out.short_ns >= _MOST * rest_ns
        found[row] = Sampled(
            idle,
            # How much of that its submissions took is not known: all the time that they lasted, or none.
            is_busy=not naps and busy_ns - submits_ns >= _MOST * rest_ns,
            is_idle_nearby=bool(idle) and busy_ns <= _LITTLE * near_ns,
            does_little=naps or on_cpu_ns < _MOST * rest_ns,
            left_out=_parts(left_out, room_ns),
            busy=busy,
        )
    return found


def _without(idle: tuple[Idle, ...], copies: list[Copy]) -> tuple[Idle, ...]:
    """Leave out the stretches in which other threads copied: nobody says of these that they had little to do."""
    return tuple(
        one
        for one in idle
        if not is_in_put(one.place[0]) or not any(put.start < one.end and one.start < put.end for put in copies)
    )


def _find_gaps(structure: Structure, known: dict[int, list[Any]]) -> dict[int, tuple[int, int, int, int]]:
    """Measure the gaps (ns) that are left of some spans beside their waits, their submissions, and what is `known`.

    Gives by row: all of them, what only the submissions cover, those too short to be looked at, and the long ones.
    """
    if not known:
        return {}
    rows = np.array(list(known), dtype=np.int64)
    is_wait = structure.spans.get_column("ready_task_ids").is_not_null().to_numpy() & ~structure.is_run
    inside = np.flatnonzero(is_wait | structure.is_submit)
    owner = sampled_above(structure, inside)
    inside, owner = inside[np.isin(owner, rows)], owner[np.isin(owner, rows)]
    told = [(row, one.start, one.end, False) for row, stretches in known.items() for one in stretches]
    columns = [*zip(*told, strict=True)] or [(), (), (), ()]
    ends = {"row": rows, "start": structure.end[rows], "end": structure.end[rows], "submits": False}
    covered = pl.concat(
        [
            pl.DataFrame(dict(zip(_COVERED, columns, strict=True)), schema=_COVERED),
            pl.DataFrame({"row": owner, "start": structure.start[inside], "end": structure.end[inside]}).with_columns(
                submits=pl.Series(structure.is_submit[inside])
            ),
            pl.DataFrame(ends, schema=_COVERED),
        ]
    )
    bounds = pl.DataFrame({"row": rows, "first": structure.start[rows], "last": structure.end[rows]})
    covered = covered.join(bounds, on="row").with_columns(pl.col("start", "end").clip(pl.col("first"), pl.col("last")))
    without = _measure(covered.filter(~pl.col("submits")))
    measured = _measure(covered).join(without, on="row", suffix="_with_submits")
    found = measured.with_columns(submits=pl.col("all_with_submits") - pl.col("all"))
    sums = found.select("row", "all", "submits", "near", "room").iter_rows()
    return {row: (whole, submits, near, room) for row, whole, submits, near, room in sums}


_COVERED = pl.Schema({"row": pl.Int64, "start": pl.Int64, "end": pl.Int64, "submits": pl.Boolean})


def _measure(covered: pl.DataFrame) -> pl.DataFrame:
    """Sum the gaps between stretches of each row since `first`: all, the short ones and the long ones."""
    in_order = covered.sort("row", "start")
    until = pl.max_horizontal(pl.col("end").cum_max().shift(1).over("row"), "first")
    gap = (pl.col("start") - until).clip(lower_bound=0)
    return (
        in_order.select("row", gap=gap)
        .group_by("row")
        .agg(
            all=pl.col("gap").sum(),
            near=pl.col("gap").filter(pl.col("gap") <= UNSEEN_NS).sum(),
            room=pl.col("gap").filter(pl.col("gap") >= SAMPLED_FROM_NS).sum(),
        )
    )


def _parts(left_out: _LeftOut, room: int) -> tuple[tuple[Place | None, float], ...]:
    """Give the places of the stretches left out, each with its part of the gaps long enough to hold some (ns)."""
    if not left_out.idle_ns or not room:
        return ()
    scale = 1 / max(room, left_out.idle_ns)
    elsewhere = left_out.idle_ns - sum(ns for _, ns in left_out.places)
    places = ((place, ns * scale) for place, ns in (*left_out.places, (None, elsewhere)))
    return tuple(part for part in places if part[1] > 0)


def _idle(text: Any, shift: int) -> tuple[tuple[Idle, ...], _LeftOut]:
    """Read idle stretches, and the sums of those that were left out; nothing of what is none."""
    try:
        told = json.loads(text)
        stretches = [
            Idle(
                start=_ns(one["start_ns"], shift),
                end=_ns(one["end_ns"], shift),
                place=_place(one),
                loops=one.get("loops") is True,
                busy_ns=max(_ns(one.get("busy_ns", 0)), 0),
                again=one.get("again") is True or one.get("loops") is True,
            )
            for one in told["stretches"]
        ]
        left_out = _LeftOut(
            idle_ns=max(_ns(told.get("left_out_ns", 0)), 0),
            busy_ns=max(_ns(told.get("left_out_busy_ns", 0)), 0),
            short_ns=max(_ns(told.get("short_ns", 0)), 0),
            places=tuple((_place(one), max(_ns(one["ns"]), 0)) for one in told.get("left_out_in", ())),
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return (), _LeftOut()
    kept: list[Idle] = []
    for stretch in sorted(stretches, key=lambda one: (one.start, one.end)):
        begin = max(stretch.start, kept[-1].end) if kept else stretch.start
        if begin < stretch.end:
            kept.append(replace(stretch, start=begin))
    return tuple(kept), left_out


def _busy(text: Any, shift: int) -> tuple[Busy, ...]:
    """Read the stretches in which a thread was busy all the time; nothing of what is none."""
    try:
        told = [
            Busy(_ns(start, shift), _ns(end, shift), _ns(ns), *((str(there[0]), _ns(there[1])) if there else ()))
            for start, end, ns, *there in json.loads(text)
        ]
    except (TypeError, ValueError, IndexError):
        return ()
    return tuple(sorted(one for one in told if one.start < one.end and one.busy_ns >= 0))


def _ns(value: Any, shift: int = 0) -> int:
    """Read a time or duration; of what no clock says the nearest that one can. Raises as `int` does for no number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    return max(min(int(value) + shift, _MOST_NS), -_MOST_NS)


def _place(one: dict[str, Any]) -> Place:
    return str(one.get("in", "")), str(one.get("at", ""))
