"""Latency per task of a large table: from the few columns of its file that tell it, of runs alone.

Everything else of a table (who waited for what, what the path is) takes many times as long and as much memory to read.
Where the figures depend on that, as where clocks are to be corrected, nothing is told here.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from raytrace_analyze.analyses.evidence import Evidence, evidence_of, without_parent
from raytrace_analyze.analyses.latency.figures import SAY_HOW_IT_ENDED, add_endings, sum_up
from raytrace_analyze.analyses.latency.orderly import is_orderly, several_hosts
from raytrace_analyze.analyses.latency.result import LatencyStats
from raytrace_analyze.analyses.latency.run_times import add_times
from raytrace_analyze.decode.column_types import EARLIEST_NS
from raytrace_analyze.ingest.large_tables import ask_of
from raytrace_analyze.ingest.loading import Found
from raytrace_analyze.ingest.report import problems_of
from raytrace_analyze.model import Problem
from raytrace_analyze.names.attributes import CANCELLED
from raytrace_analyze.sampled.samples import cpu_ns
from raytrace_analyze.schema import FROM_EVENTS
from raytrace_analyze.table.assemble import NEEDED
from raytrace_analyze.table.events.attempts import is_attempt, only_spans
from raytrace_analyze.table.filled.begun import run_flags
from raytrace_analyze.table.lineage import Flags, RowIds, cut_circles, flags, hash_of_pair, parent_rows
from raytrace_analyze.table.losses import told_losses
from raytrace_analyze.trace.numbering import join_tasks, next_attempts
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.groups import LatencyGroup, column_of

WITH_PATH_ROWS = 500_000
"""Up to so many rows `stats` tells what each function has of the critical path, unless it is told otherwise."""

_ROWS = 250_000
"""How many rows are read at a time: what is looked up in them stays in the processor's caches."""
_OF_PARENTS = (
    "trace_id",
    "span_id",
    "parent_id",
    "kind",
    "session",
    "task_id",
    "submitted_task_id",
    "node_id",
    FROM_EVENTS,
)
_OF_RUNS = ("actor_id", "start", "end", "host", "attempt", *SAY_HOW_IT_ENDED)


@frozen
class LargeStats:
    """What `latency_stats` gives of a table without the path, and what that rests on."""

    stats: LatencyStats
    evidence: Evidence
    problems: tuple[Problem, ...]


def stats_of_large(
    found: Found, by: LatencyGroup, *, least_rows: int, clock_correct: bool = True, internals: bool = True
) -> LargeStats | None:
    """Sum up what `latency_stats` does of the one table that was found, without the path.

    None where there is another input than one sound table with so many rows, and where more is to be known for the
    same figures: of every span by `name`, where clocks may be off, of attempts that never ended and others followed.
    """
    if by == LatencyGroup.NAME:
        return None

    def ask(table: pl.LazyFrame) -> LargeStats | None:
        column = column_of(by)
        told = _runs(table, column) if _is_plain(table) else None
        attempts = None if told is None else _attempts(told[0])
        if told is None or attempts is None:
            return None
        runs, orphans = told
        spans = table.filter(~is_attempt())
        if clock_correct and not is_orderly(
            spans, runs, across_hosts=several_hosts(spans), earlier=attempts[0], later=attempts[1]
        ):
            return None
        timed = add_endings(add_times(runs, *attempts))
        only_known = table.filter(is_attempt())
        alone = add_endings(only_known.select(*dict.fromkeys((column, "actor_id", *SAY_HOW_IT_ENDED))).collect())
        if by == LatencyGroup.ACTOR:
            timed, alone = (rows.filter(pl.col("actor_id").is_not_null()) for rows in (timed, alone))
        now, earlier = problems_of(told_losses(spans), found.discovery, ())
        return LargeStats(
            sum_up(timed, alone, None, by=by, column=column, internals=internals),
            evidence_of(table, orphans, now + earlier, len(found.discovery.unreadable)),
            now,
        )

    return ask_of(found, least_rows, ask)


def _is_plain(table: pl.LazyFrame) -> bool:
    """Tell whether times and ids are as `merge` writes them: nothing lacks, nothing ends before it starts."""
    time = pl.col("start", "end").to_physical().min()
    asked = table.select(
        *(pl.col(name).null_count().name.prefix("no_") for name in NEEDED),
        time.name.prefix("first_"),
        is_backwards=(pl.col("end") < pl.col("start")).any(),
    )
    row = asked.collect(engine="streaming").row(0, named=True)
    nulls = any(row[f"no_{name}"] for name in NEEDED)
    early = any((row[f"first_{name}"] or 0) < EARLIEST_NS for name in ("start", "end"))
    return not (nulls or early or row["is_backwards"])


def _runs(table: pl.LazyFrame, column: str) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Give the runs with what tells their times, and `host` and `node_id` of the spans whose parents are missing.

    None where that cannot be told from the runs' own rows and their submits'.
    """
    parts = list(_parts(table, column))
    if not parts or sum(part.traces for part in parts) != table.select(pl.col("trace_id").n_unique()).collect().item():
        return None
    runs, orphans = (pl.concat([getattr(part, name) for part in parts]) for name in ("runs", "orphans"))
    # When a submit ended that never did only its process tells.
    return None if runs.get_column("submit_open").any() else (runs, orphans)


class _Part(NamedTuple):
    runs: pl.DataFrame
    orphans: pl.DataFrame
    traces: int


def _parts(table: pl.LazyFrame, column: str) -> Iterator[_Part]:
    """Tell of some whole traces at a time, as they lie together in a table's file: that is little memory."""
    asked = table.select(*dict.fromkeys((column, *_OF_RUNS, *_OF_PARENTS)))
    rows = table.select(pl.len()).collect().item()
    kept: list[pl.DataFrame] = []
    for first in range(0, rows, _ROWS):
        part = asked.slice(first, _ROWS).collect()
        goes_on = part.get_column("trace_id") == part.get_column("trace_id")[-1]
        is_last = first + _ROWS >= rows
        cut = part.height if is_last else 0 if goes_on.all() else int(goes_on.arg_max() or 0)
        if cut:
            yield _of_traces(pl.concat([*kept, part[:cut]]), column)
            kept = []
        kept.append(part[cut:])


def _of_traces(table: pl.DataFrame, column: str) -> _Part:
    spans = only_spans(table)
    known = parent_rows(spans)
    start = spans.get_column("start").to_physical().to_numpy()
    parent, _ = cut_circles(known, start, spans.get_column("span_id"))
    rows = np.flatnonzero(run_flags(spans.get_column("kind"), parent))
    above = pl.Series(parent[rows]).replace(-1, None)
    submits = spans.select(pl.col("trace_id", "span_id", "session", "submitted_task_id", "start", "end").gather(above))
    submits = submits.select(
        submit=_hash_or_null("trace_id", "span_id"),
        submit_start=pl.col("start").to_physical(),
        submit_end=pl.col("end").to_physical(),
        submit_open=pl.col("start").is_not_null() & pl.col("end").is_null(),
        submit_task=_hash_or_null("session", "submitted_task_id"),
    )
    said = pl.col("attributes")
    runs = (
        spans.select(*dict.fromkeys((column, *_OF_RUNS, "session", "task_id")))[rows]
        .with_columns(submits)
        .select(
            *dict.fromkeys((column, *_OF_RUNS, *submits.columns)),
            actor=hash_of_pair("session", "actor_id"),
            task=pl.coalesce(_hash_or_null("session", "task_id"), "submit_task"),
            end_ns=pl.col("end").to_physical(),
            cpu_ns=said.map_batches(cpu_ns, return_dtype=pl.Int64, is_elementwise=True),
            is_run=pl.lit(True),
        )
        .with_columns(attributes=pl.when(said.str.contains(f'"{CANCELLED}"', literal=True)).then(said))
    )
    return _Part(runs, without_parent(spans, known), table.get_column("trace_id").n_unique())


def _hash_or_null(first: str, second: str) -> pl.Expr:
    return pl.when(pl.col(second).is_not_null()).then(hash_of_pair(first, second))


def _attempts(runs: pl.DataFrame) -> tuple[RowIds, RowIds] | None:
    """Pair the positions of a task's attempts with the next ones; None where it takes more to tell which that are."""
    several = [_is_shared(runs.get_column(name)) for name in ("task", "submit")]
    rows = np.flatnonzero(np.logical_or(*several))
    some = runs.select("task", "submit", "start", "end")[rows]
    task, submit = (_numbered(some.get_column(name)) for name in ("task", "submit"))
    start = some.get_column("start").to_physical().to_numpy()
    earlier, later = next_attempts(join_tasks(task, int(task.max(initial=-1)) + 1, submit), start)
    # Which of two that began at once was first their ids tell, and when one ended that never did its process.
    if (start[earlier] == start[later]).any() or some.get_column("end").is_null().gather(earlier).any():
        return None
    return rows[earlier], rows[later]


def _is_shared(keys: pl.Series) -> Flags:
    """Tell the keys that stand there more than once; null is none."""
    known = np.sort(keys.drop_nulls().to_numpy())
    twice = np.unique(known[1:][known[1:] == known[:-1]])
    if twice.size == 0:  # as a rule, and quickly known
        return np.zeros(keys.len(), dtype=np.bool_)
    return flags(keys.is_in(pl.Series(twice).implode()))


def _numbered(keys: pl.Series) -> RowIds:
    """Number distinct keys; -1 for null."""
    number = keys.rank("dense").cast(pl.Int64) - 1
    return number.fill_null(-1).to_numpy()
