"""Latency per task of a large table: from the few columns of its file that tell it, of runs alone.

Everything else of a table (who waited for what, what the path is) takes many times as long and as much memory to read.
Where the figures depend on that, as where clocks are to be corrected, nothing is told here.
"""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.evidence import Evidence, evidence_of
from raytrace_analyze.analyses.latency.figures import SAY_HOW_IT_ENDED, add_endings, sum_up
from raytrace_analyze.analyses.latency.orderly import is_orderly, several_hosts
from raytrace_analyze.analyses.latency.result import LatencyStats
from raytrace_analyze.analyses.latency.run_times import add_times
from raytrace_analyze.attributes import CANCELLED, CPU_NS
from raytrace_analyze.ingest import Found
from raytrace_analyze.ingest_report import problems_of
from raytrace_analyze.large_tables import ask_of
from raytrace_analyze.model import Problem
from raytrace_analyze.sampled.samples import cpu_ns
from raytrace_analyze.schema import FROM_EVENTS, Kind
from raytrace_analyze.table.lineage import Flags, RowIds, cut_circles, flags, hash_of_pair, parent_rows
from raytrace_analyze.table.losses import told_losses
from raytrace_analyze.trace.numbering import join_tasks, next_attempts
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary import LatencyGroup, column_of

WITH_PATH_ROWS = 500_000
"""Up to so many rows `stats` tells what each function has of the critical path, unless it is told otherwise."""

_NEEDED = ("trace_id", "span_id", "name", "kind", "category", "start", "status", "session")
_DAY_NS = 86_400_000_000_000
_OF_RUNS = ("actor_id", "start", "end", "host", "attempt", *(name for name in SAY_HOW_IT_ENDED if name != "attributes"))
_IS_CONSUMER = pl.col("kind") == pl.lit("CONSUMER", Kind)


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
    same figures: of every span by `name`, where clocks may be off, of parents in a circle, of attempts that never ended
    and were followed by others.
    """
    if by == LatencyGroup.NAME:
        return None

    def ask(table: pl.LazyFrame) -> LargeStats | None:
        spans = table.filter(~pl.col(FROM_EVENTS).fill_null(False))
        if not _is_plain(table):
            return None
        column = column_of(by)
        runs = _runs(spans, column)
        orphans = _orphans(spans)
        attempts = None if runs is None else _attempts(runs)
        if runs is None or orphans is None or attempts is None:
            return None
        if clock_correct and not is_orderly(
            spans, runs, across_hosts=several_hosts(spans), earlier=attempts[0], later=attempts[1]
        ):
            return None
        timed = add_endings(add_times(runs, *attempts))
        only_known = table.filter(pl.col(FROM_EVENTS).fill_null(False))
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
        *(pl.col(name).null_count().name.prefix("no_") for name in _NEEDED),
        *(time.name.prefix("first_"),),
        is_backwards=(pl.col("end") < pl.col("start")).any(),
    )
    row = asked.collect(engine="streaming").row(0, named=True)
    nulls = any(row[f"no_{name}"] for name in _NEEDED)
    early = any((row[f"first_{name}"] or 0) < -_DAY_NS for name in ("start", "end"))
    return not (nulls or early or row["is_backwards"])


def _runs(spans: pl.LazyFrame, column: str) -> pl.DataFrame | None:
    """Give the runs with what they took; None where that cannot be told from their own rows and their submits'."""
    above = spans.select(
        key=hash_of_pair("trace_id", "span_id"),
        submit_kind="kind",
        submit_start=pl.col("start").to_physical(),
        submit_end=pl.col("end").to_physical(),
        submit_open=pl.col("end").is_null(),
        submit_task=pl.when(pl.col("submitted_task_id").is_not_null()).then(
            hash_of_pair("session", "submitted_task_id")
        ),
    )
    found = (
        spans.filter(_IS_CONSUMER)
        .select(
            *dict.fromkeys((column, *_OF_RUNS)),
            actor=hash_of_pair("session", "actor_id"),
            own=hash_of_pair("trace_id", "span_id"),
            key=pl.when(pl.col("parent_id").is_not_null()).then(hash_of_pair("trace_id", "parent_id")),
            task=pl.when(pl.col("task_id").is_not_null()).then(hash_of_pair("session", "task_id")),
        )
        .join(above, on="key", how="left")
        # A run is a CONSUMER whose parent is a PRODUCER, or is missing.
        .filter((pl.col("submit_kind") == pl.lit("PRODUCER", Kind)).fill_null(True))
        .collect(engine="streaming")
    )
    runs = found.join(_told(spans), on="own", how="left").with_columns(
        task=pl.coalesce("task", "submit_task"),
        submit=pl.when(pl.col("submit_kind").is_not_null()).then("key"),
        end_ns=pl.col("end").to_physical(),
        is_run=pl.lit(True),
    )
    # When a submit ended that never did only its process tells; a span that stands there twice is no table of ours.
    unsure = runs.get_column("submit_open").fill_null(False).any() or _is_shared(runs.get_column("own")).any()
    return None if unsure else runs


def _told(spans: pl.LazyFrame) -> pl.DataFrame:
    """Give of runs whose attributes tell of it the CPU time, and the attributes of those that were cancelled."""
    said = pl.col("attributes")
    on_cpu, cancelled = (said.str.contains(f'"{name}"', literal=True) for name in (CPU_NS, CANCELLED))
    return (
        spans.filter(_IS_CONSUMER, on_cpu | cancelled)
        .select(
            own=hash_of_pair("trace_id", "span_id"),
            cpu_ns=said.map_batches(cpu_ns, return_dtype=pl.Int64, is_elementwise=True),
            attributes=pl.when(cancelled).then(said),
        )
        .collect(engine="streaming")
    )


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


def _orphans(spans: pl.LazyFrame) -> pl.DataFrame | None:
    """Give `host` and `node_id` of the spans whose parents are missing; None where some are above themselves.

    Along a circle of parents some span starts before its parent does, or all start at once.
    """
    above = spans.select(key=hash_of_pair("trace_id", "span_id"), above="start")
    found = (
        spans.filter(pl.col("parent_id").is_not_null())
        .select("host", "node_id", "trace_id", "start", key=hash_of_pair("trace_id", "parent_id"))
        .join(above, on="key", how="left")
        .filter(pl.col("above").is_null() | (pl.col("start") <= pl.col("above")))
        .select("host", "node_id", "above", trace_id=pl.when(pl.col("above").is_not_null()).then("trace_id"))
        .collect(engine="streaming")
    )
    doubtful = found.select(pl.col("trace_id").drop_nulls().unique())
    if doubtful.height:
        columns = ("trace_id", "span_id", "parent_id", "start")
        some = spans.select(columns).join(doubtful.lazy(), on="trace_id", how="semi").collect(engine="streaming")
        start = some.get_column("start").to_physical().to_numpy()
        if cut_circles(parent_rows(some), start, some.get_column("span_id"))[1].size:
            return None
    return found.filter(pl.col("above").is_null()).select("host", "node_id")
