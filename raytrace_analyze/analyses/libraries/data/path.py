"""What the job's critical path has in executions of Ray Data: their operators, Ray Data's own threads, the program."""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.libraries.data.consumers import EXECUTION_KEYS
from raytrace_analyze.analyses.libraries.data.operators import Operators, not_taken
from raytrace_analyze.names.attributes import EXECUTION, told
from raytrace_analyze.names.functions import DRIVER, ELSEWHERE, EXECUTOR, PROGRAM, RAY_DATA
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.vocabulary.paths import Category

_MOMENT = 0.01
"""What part of an execution's time the path has to be elsewhere for that to be told."""


def path_of_spans(trace: PreparedTrace, segments: pl.DataFrame, rows: RowIds, number: RowIds) -> pl.DataFrame:
    """Sum what spans (rows) have of the paths that `segments` are of, by the number that each of them has."""
    of_span = trace.spans.select("trace_id", "span_id")[rows].with_columns(number=number)
    return (
        segments.join(of_span, on=["trace_id", "span_id"], how="inner")
        .group_by("number")
        .agg(path_ns=pl.col("duration_ns").sum(), start_up_ns=pl.col("duration_ns").filter("is_cold").sum())
    )


_OF_EXECUTION = ("dataset", "outcome", "start_ns", "took_ns")


def own_threads(trace: PreparedTrace) -> pl.DataFrame:
    """Give the runs that are executions' own threads: `row`, `session`, `execution`."""
    is_thread = (trace.spans.get_column("function") == EXECUTOR).fill_null(value=False)
    rows = np.flatnonzero(trace.structure.is_run & is_thread.to_numpy())
    known = trace.spans.select("session", execution=told(pl.col("attributes"), EXECUTION))[rows]
    return known.with_columns(row=pl.Series(rows, dtype=pl.Int64))


def with_rows(trace: PreparedTrace, segments: pl.DataFrame) -> pl.DataFrame:
    """Give of segments of paths which `row` of the spans each is of, -1 for none, `start`, `end` (ns), `category`."""
    rows = trace.spans.select("trace_id", "span_id").with_row_index("row").cast({"row": pl.Int64})
    return segments.join(rows, on=["trace_id", "span_id"], how="left").select(
        pl.col("row").fill_null(-1), "category", start="start_ns", end=pl.col("start_ns") + pl.col("duration_ns")
    )


def _in_threads(trace: PreparedTrace, operators: Operators, own: pl.DataFrame) -> tuple[RowIds, RowIds]:
    """Give the rows in executions' own threads that are no operator's, and each one's thread (a run)."""
    structure = trace.structure
    run = np.where(structure.is_run, np.arange(structure.start.size), structure.run_above)
    rows = np.flatnonzero(np.isin(run, own.get_column("row").to_numpy()) & (operators.of_row < 0))
    return rows, run[rows]


def waited_for_room(
    trace: PreparedTrace, placed: pl.DataFrame, operators: Operators, own: pl.DataFrame
) -> pl.DataFrame:
    """Sum what the path waits in executions' own threads while nobody takes what comes out of them: `room_ns`.

    By `session` and `execution`. There the program is waited for: it is busy with the blocks that it has.
    """
    rows, thread = _in_threads(trace, operators, own)
    row_of = pl.DataFrame({"row": rows, "thread": thread})
    waits = (
        placed.filter(pl.col("category") == Category.WAIT)
        .join(row_of, on="row", how="inner")
        .join(own, left_on="thread", right_on="row", how="inner")
    )
    both = waits.join(not_taken(trace), on=["session", "execution"], suffix="_held")
    overlap = pl.min_horizontal("end", "end_held") - pl.max_horizontal("start", "start_held")
    return both.group_by("session", "execution").agg(room_ns=overlap.clip(lower_bound=0).sum())


def executors(
    trace: PreparedTrace,
    segments: pl.DataFrame,
    operators: Operators,
    about: pl.DataFrame,
    own: pl.DataFrame,
    for_room: pl.DataFrame,
) -> pl.DataFrame:
    """Give Ray Data's own row of each execution of which that was recorded: what its thread has of the path.

    What it waits there for room (`waited_for_room`) is the program's.
    """
    rows, thread = _in_threads(trace, operators, own)
    found = own.rename({"row": "number"}).join(path_of_spans(trace, segments, rows, thread), on="number", how="left")
    executions = about.group_by(EXECUTION_KEYS).agg(pl.col(_OF_EXECUTION).drop_nulls().first())
    found = found.join(for_room, on=["session", "execution"], how="left")
    return executions.join(found, on=["session", "execution"]).select(
        *EXECUTION_KEYS,
        *_OF_EXECUTION,
        pl.col("path_ns").fill_null(0) - pl.col("room_ns").fill_null(0),
        pl.col("start_up_ns").fill_null(0),
        operator=pl.lit(RAY_DATA),
        is_own=pl.lit(value=True),
    )


def others(rows: pl.DataFrame, taken: pl.DataFrame) -> list[pl.DataFrame]:
    """Give for each execution the program's row, and where the path is elsewhere for longer than a moment, that one.

    The program's is what whoever takes the blocks has of the path meanwhile; where nobody is known to, all that is in
    none of the others.
    """
    rest = pl.col("took_ns").first() - pl.col("path_ns").sum()
    left = (
        rows.group_by(EXECUTION_KEYS)
        .agg(pl.col(_OF_EXECUTION).drop_nulls().first(), rest=rest.clip(lower_bound=0))
        .join(taken, on=EXECUTION_KEYS, how="left", nulls_equal=True)
        .with_columns(path_ns=pl.min_horizontal(pl.coalesce("consumed_ns", "rest"), "rest"))
    )
    elsewhere = left.with_columns(path_ns=pl.col("rest") - pl.col("path_ns")).filter(
        pl.col("path_ns") > _MOMENT * pl.col("took_ns")
    )
    columns = [*EXECUTION_KEYS, *_OF_EXECUTION, "path_ns"]
    programs = pl.when(pl.col("by_driver").fill_null(value=True)).then(pl.lit(DRIVER)).otherwise(pl.lit(PROGRAM))
    return [
        found.select(*columns, operator=name, is_driver=pl.lit(value=True), is_last=pl.lit(value=is_last))
        for found, name, is_last in ((left, programs, False), (elsewhere, pl.lit(ELSEWHERE), True))
    ]
