"""Programs of any size as columns of numbers: who submits whom, where it runs, and when.

A trace is a request to a Ray program: a root that submits tasks and waits for all of them; each task submits two inner
tasks, waits for both and combines, and one inner task has a span of its own: five spans deep, as in the captures.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

UNIT = 8
"""Spans that one task of the root makes: its submit and run, those of two inner tasks, a wait, a span of its own."""
VARIANTS = 16
"""How many programs of one size are made; traces repeat them, each at a pace of its own."""

_SUBMIT_NS, _GAP_NS = 60_000, 25_000
_KINDS = ("submit", "task", "submit", "task", "custom", "submit", "task", "wait")
_PARENTS = (-1, 0, 1, 2, 3, 1, 5, 1)
"""Within a unit; -1 is the root."""
_FUNCTIONS = (0, 0, 1, 1, 1, 2, 2, 0)
_IS_INNER = (0, 1, 1, 2, 2, 1, 2, 1)
"""Which process a span of a unit is written by: the driver, the task's worker, the worker beside it."""


@dataclass(frozen=True)
class Shape:
    """One program: an entry a span, times in ns from its start, rows as positions."""

    parent: np.ndarray
    kind: np.ndarray
    function: np.ndarray
    process: np.ndarray
    task: np.ndarray
    """The number of the task that a submit submits, a run runs or a span is in; -1: none."""
    start: np.ndarray
    end: np.ndarray


def make_shape(spans: int, workers: int, rng: np.random.Generator) -> Shape:
    """Make a program of exactly so many spans (4 at least) on pairs of `workers`."""
    units = (spans - 2) // UNIT
    rest = (spans - 2) % UNIT
    pairs = max(workers // 2, 1)
    unit = np.arange(units)
    submit_start = 10_000 + unit * (_SUBMIT_NS + _GAP_NS)
    submit_end = submit_start + rng.integers(_SUBMIT_NS // 3, _SUBMIT_NS, units)
    first, second = (rng.lognormal(15.5, 0.8, units).astype(np.int64) + 100_000 for _ in range(2))
    took = first + second + 400_000
    begin = np.zeros(units, dtype=np.int64)
    for lane in range(min(pairs, units)):  # the units of a pair of workers follow each other
        mine = slice(lane, None, pairs)
        before = np.concatenate([[0], np.cumsum(took[mine] + 150_000)[:-1]])
        begin[mine] = np.maximum.accumulate(submit_end[mine] + 300_000 - before) + before
    times = np.zeros((units, UNIT, 2), dtype=np.int64)
    offsets = (
        (submit_start, submit_end),
        (begin, begin + took),
        (begin + 20_000, begin + 60_000),
        (begin + 150_000, begin + 150_000 + first),
        (begin + 160_000, begin + 120_000 + first),
        (begin + 70_000, begin + 110_000),
        (begin + 200_000 + first, begin + 200_000 + first + second),
        (begin + 120_000, begin + took - 50_000),
    )
    for number, (start, end) in enumerate(offsets):
        times[:, number, 0], times[:, number, 1] = start, end
    base = 1 + unit[:, None] * UNIT
    parent = np.where(np.array(_PARENTS) >= 0, base + np.array(_PARENTS), 0)
    lane = 1 + 2 * (unit % pairs)
    where = np.array(_IS_INNER)
    process = np.where(where == 0, 0, lane[:, None] + where - 1)
    task = 3 * unit[:, None] + np.array(_FUNCTIONS)
    last = int(times[:, :, 1].max(initial=0))
    tail = np.arange(rest)
    tail_at = last + 50_000 + tail * 2_000_000
    tail_kind = np.where(tail == rest - 1, "custom", np.where(tail % 2, "task", "submit")) if rest % 2 else None
    if tail_kind is None:
        tail_kind = np.where(tail % 2, "task", "submit")
    root = 1 + units * UNIT
    done = last + 100_000 + rest * 2_000_000
    return Shape(
        parent=np.concatenate([[-1], parent.ravel(), np.where(tail_kind == "task", root + tail - 1, 0), [0]]),
        kind=np.concatenate([["root"], np.tile(_KINDS, units), tail_kind, ["wait"]]),
        function=np.concatenate([[3], np.tile(_FUNCTIONS, units), np.full(rest, 4), [3]]),
        process=np.concatenate([[0], process.ravel(), (tail_kind == "task").astype(np.int64), [0]]),
        task=np.concatenate([[-1], task.ravel(), np.where(tail_kind == "custom", -1, 3 * units + tail // 2), [-1]]),
        start=np.concatenate([[0], times[:, :, 0].ravel(), tail_at, [10_000 + units * (_SUBMIT_NS + _GAP_NS)]]),
        end=np.concatenate([[done + 100_000], times[:, :, 1].ravel(), tail_at + 1_500_000, [done]]),
    )


@dataclass(frozen=True)
class Size:
    """How much to make."""

    spans: int
    spans_a_trace: int = 100
    processes: int = 200
    jobs: int = 4
    seed: int = 0


_BEGIN_NS = 1_795_424_139_000_000_000
_BLOCK = 40_000


def make_blocks(size: Size) -> Iterator[pl.DataFrame]:
    """Give the spans some whole traces at a time, in order of traces.

    Columns: `trace`, `job`, `process` (numbers); `row` (of the block), `parent_row` (-1: none), `kind` (submit, task,
    wait, custom, root), `function`, `task` (numbers; unique in a trace), `start`, `end` (ns since the epoch).
    """
    rng = np.random.default_rng(size.seed)
    jobs = max(min(size.jobs, size.processes // 3), 1)
    of_job = max(size.processes // jobs, 1)
    whole, rest = divmod(size.spans, size.spans_a_trace)
    shapes = [make_shape(size.spans_a_trace, of_job - 1, rng) for _ in range(VARIANTS if whole > 1 else min(whole, 1))]
    pace_ns = max(int(2e9 / max(of_job, 1)), 1000)
    todo = [(number, shapes[number % len(shapes)]) for number in range(whole)]
    if rest >= 4:
        todo.append((whole, make_shape(rest, of_job - 1, rng)))
    a_block = max(_BLOCK // size.spans_a_trace, 1)
    for first in range(0, len(todo), a_block):
        part = todo[first : first + a_block]
        lengths = np.array([shape.parent.size for _, shape in part])
        offset = np.repeat(np.cumsum(lengths) - lengths, lengths)
        trace = np.repeat([number for number, _ in part], lengths)
        parent = np.concatenate([shape.parent for _, shape in part])
        scale = np.repeat(rng.integers(80, 130, len(part)), lengths)
        job = trace % jobs
        process = np.concatenate([shape.process for _, shape in part])
        turn = np.repeat(rng.integers(0, 1 << 30, len(part)) * 2, lengths)
        workers = max(of_job - 1, 1)
        process = np.where((process == 0) | (of_job < 2), 0, 1 + (process - 1 + turn) % workers)
        begin = _BEGIN_NS + (trace // jobs) * pace_ns
        yield pl.DataFrame(
            {
                "trace": trace,
                "job": job,
                "process": job * of_job + process,
                "row": np.arange(parent.size),
                "parent_row": np.where(parent < 0, -1, parent + offset),
                "kind": np.concatenate([shape.kind for _, shape in part]),
                "function": np.concatenate([shape.function for _, shape in part]),
                "task": np.concatenate([shape.task for _, shape in part]),
                "start": begin + np.concatenate([shape.start for _, shape in part]) * scale // 100,
                "end": begin + np.concatenate([shape.end for _, shape in part]) * scale // 100,
            }
        )
