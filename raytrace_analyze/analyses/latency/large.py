"""Latency per task of a large table: from the few columns of its file that tell it, of runs alone.

Everything else of a table (who waited for what, what the path is) takes many times as long and as much memory to read.
Where the figures depend on that, as where clocks are to be corrected, nothing is told here.
"""

import polars as pl

from raytrace_analyze.analyses.evidence import Evidence, evidence_in_file
from raytrace_analyze.analyses.latency.figures import SAY_HOW_IT_ENDED, add_endings, sum_up
from raytrace_analyze.analyses.latency.result import LatencyStats
from raytrace_analyze.ingest.large_tables import ask_of
from raytrace_analyze.ingest.loading import Found
from raytrace_analyze.model import Problem
from raytrace_analyze.names.attributes import CANCELLED
from raytrace_analyze.schema import FILE, Category
from raytrace_analyze.table.events.attempts import is_attempt
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.groups import LatencyGroup, column_of
from raytrace_analyze.vocabulary.spans import Times

WITH_PATH_ROWS = 500_000
"""Up to so many rows `stats` tells what each function has of the critical path, unless it is told otherwise."""


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
    enough = (Times.ORDERED,) if clock_correct else (Times.ORDERED, Times.AS_TOLD)

    def ask(table: pl.LazyFrame) -> LargeStats | None:
        column = column_of(by)
        is_task = pl.col("category") == pl.lit("task", Category)
        runs = table.filter(is_task, ~is_attempt()).select(
            *([] if column == "function" else [column]),
            *_how_it_ended(),
            *("submit_ns", "queue_ns", "cpu_ns", "is_retried"),
            is_run=pl.lit(True),
            is_open=pl.col("end").is_null(),
            run_ns=(pl.col("end") - pl.col("start")).dt.total_nanoseconds(),
        )
        alone = table.filter(is_attempt()).select(*dict.fromkeys((column, *SAY_HOW_IT_ENDED)))
        if by == LatencyGroup.ACTOR:
            runs, alone = (rows.filter(pl.col("actor_id").is_not_null()) for rows in (runs, alone))
        timed = runs.with_columns(cpu_run_ns=pl.when(pl.col("cpu_ns").is_not_null()).then("run_ns"))
        orphans = table.filter("lacks_parent").select("host", "node_id")
        told, attempts, without = pl.collect_all([timed, alone, orphans])
        return LargeStats(
            sum_up(add_endings(told), add_endings(attempts), None, by=by, column=column, internals=internals),
            *evidence_in_file(table, without, found),
        )

    return ask_of(found, least_rows, ask, FILE, enough)


def _how_it_ended() -> list[pl.Expr]:
    """Give what tells how runs ended; of their attributes, which take most of the time to read, only what tells it."""
    is_cancelled = pl.when("is_cancelled").then(pl.lit(f'{{"{CANCELLED}": true}}'))
    return [is_cancelled.alias(name) if name == "attributes" else pl.col(name) for name in SAY_HOW_IT_ENDED]
