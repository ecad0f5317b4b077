"""Ray Data in one table: for each execution of a dataset, what each operator did, and which limits the rate."""

from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.analyses.libraries.data.consumers import EXECUTION_KEYS, consumed
from raytrace_analyze.analyses.libraries.data.operators import Operators, find_operators
from raytrace_analyze.analyses.libraries.data.path import (
    executors,
    others,
    own_threads,
    path_of_spans,
    waited_for_room,
    with_rows,
)
from raytrace_analyze.analyses.libraries.slow_ones import slow_ones
from raytrace_analyze.names.spans import BACK_PRESSURE
from raytrace_analyze.path.all_scopes import paths_of
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.queueing.causes import is_cold
from raytrace_analyze.queueing.split import causes_frame
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.actor_labels import actor_labels
from raytrace_analyze.trace.busy_time import covered

_SLOW_ACTOR: dict[str, Any] = {
    "slow_actor": pl.String,
    **dict.fromkeys(("slow_actor_tasks", "slow_actor_task_ns", "other_actors_task_ns"), pl.Int64),
}
OPERATORS = pl.Schema(
    {
        **dict.fromkeys(("session", "job_id", "execution", "dataset", "outcome", "operator"), pl.String),
        **dict.fromkeys(("start_ns", "took_ns", "tasks", "errors", "rows_out", "bytes_out", "busy_ns"), pl.Int64),
        "mean_parallel": pl.Float64,
        "queued_ns": pl.Int64,
        "queued_for": pl.String,
        **dict.fromkeys(("idle_ns", "held_submission_ns", "held_output_ns"), pl.Int64),
        "held_by": pl.String,
        **dict.fromkeys(("actors", "actor_start_ns"), pl.Int64),
        **_SLOW_ACTOR,
        "rows_per_s": pl.Float64,
        "path_ns": pl.Int64,
        "path_share": pl.Float64,
        "start_up_ns": pl.Int64,
        "limits": pl.Boolean,
    }
)
"""Columns of `data`."""


def data(spans: Trace, *, clock_correct: bool = True) -> pl.DataFrame:
    """Tell for each execution of a dataset of Ray Data what each of its operators did, and which limits the rate.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one. One row an operator, execution by
    execution in order of start, along the pipeline; after them Ray Data's own (`operator` is `(Ray Data)`, where it is
    recorded): the thread that hands out the tasks; then the program's (`(driver)`; `(program)` where tasks or actors
    take the blocks, as of a dataset that is split): what it did before, and with the blocks; last `(elsewhere)`, where
    the job's path had nothing to do with the execution. What is not known is null, never 0. Columns:

    - `session`, `job_id`, `execution` (an id; null where nothing tells of executions: then all of the job is one),
      `dataset` (Ray Data's name of the execution), `outcome` (`finished`, `failed`, `open`: the driver ended first);
    - `start_ns` (since the epoch) and `took_ns` of the execution;
    - `tasks`, `errors`; `rows_out`, `bytes_out` as Ray Data counts them;
    - `busy_ns`: task time in all, without what tasks were held back for their consumer; `mean_parallel`: how many ran
      at a time, from the operator's first submission to its last task's end;
    - `queued_ns`: task time between submission and start, `queued_for`: the cause that took most of it;
    - `idle_ns`: within those ends, while none of its tasks ran;
    - `held_submission_ns`: had input, but a policy of Ray Data let it start no task; `held_output_ns`: had tasks, but
      their output was not taken; `held_by`: the policy that did so longest;
    - `actors`, `actor_start_ns`: from an actor's creation until it was there, the longest;
    - `slow_actor`, where one of several is slow: the median of its `slow_actor_tasks` tasks, `slow_actor_task_ns`, is
      half or more beyond that of all others' tasks, `other_actors_task_ns`;
    - `rows_per_s`, between its first submission and its last task's end;
    - `path_ns`, `path_share` (0 to 1): how much of the execution's time the critical path was in this operator, its
      queues and its actors' starts among it; `start_up_ns`: what of that was spent on starting processes and
      loading code; `limits`: true for the one where the rest is most.
    """
    trace = prepare(spans, clock_correct=clock_correct)
    operators = find_operators(trace)
    if operators.table.is_empty():
        return pl.DataFrame(schema=OPERATORS)
    segments = paths_of(trace, "jobs", PathOptions()).select(
        "trace_id", "span_id", "duration_ns", "start_ns", "category", is_cold=is_cold()
    )
    rows = np.flatnonzero(operators.of_row >= 0)
    about = (
        operators.table.with_row_index("number")
        .cast({"number": pl.Int64})
        .join(_tasks(trace, operators), on="number", how="left")
        .join(_queues(trace, operators), on="number", how="left")
        .join(_actors(trace, operators), on="number", how="left")
        .join(_slow_actors(trace, operators), on="number", how="left")
        .join(path_of_spans(trace, segments, rows, operators.of_row[rows]), on="number", how="left")
        .with_columns(
            pl.col("tasks", "errors", "actors", "path_ns").fill_null(0),
            pl.when(pl.col("is_recorded").fill_null(True)).then(pl.col("busy_ns").fill_null(0)),
            start_ns=pl.coalesce("began_ns", "first_ns").min().over(EXECUTION_KEYS),
            end_ns=pl.coalesce("ended_ns", "last_ns").max().over(EXECUTION_KEYS),
        )
        .filter(pl.col("start_ns").is_not_null())
        .with_columns(took_ns=pl.col("end_ns") - pl.col("start_ns"))
    )
    active = pl.col("last_ns") - pl.col("first_ns")
    is_known = pl.col("busy_ns").is_not_null() & (active > 0)
    told = about.with_columns(
        mean_parallel=pl.when(is_known).then(pl.col("busy_ns") / active),
        idle_ns=pl.when(is_known).then((active - pl.col("covered_ns").fill_null(0)).clip(lower_bound=0)),
        rows_per_s=pl.when(active > 0).then(pl.col("rows_out") / (active / 1e9)),
        actors=pl.col("actors"),
    )
    threads = own_threads(trace)
    placed = with_rows(trace, segments)
    for_room = waited_for_room(trace, placed, operators, threads)
    known = pl.concat([told, executors(trace, segments, operators, told, threads, for_room)], how="diagonal")
    bounds = told.group_by(EXECUTION_KEYS, maintain_order=True).agg(pl.col("start_ns", "end_ns").first())
    taken = consumed(trace, placed, operators, threads, bounds).join(for_room, on=["session", "execution"], how="left")
    taken = taken.with_columns(consumed_ns=pl.col("consumed_ns") + pl.col("room_ns").fill_null(0))
    every = pl.concat([known, *others(known, taken)], how="diagonal")
    share = pl.col("path_ns") / pl.col("took_ns").clip(lower_bound=1)
    steady = pl.col("path_ns") - pl.col("start_up_ns")
    most = steady.rank("ordinal", descending=True).over(EXECUTION_KEYS)
    return (
        every.with_columns(
            pl.col("is_own", "is_driver", "is_last").fill_null(value=False), pl.col("start_up_ns").fill_null(0)
        )
        .with_columns(path_share=share, limits=(most == 1) & (steady > 0))
        .sort(
            "start_ns",
            *EXECUTION_KEYS,
            "is_driver",
            "is_last",
            "is_own",
            "place",
            "first_ns",
            "operator",
            nulls_last=True,
        )
        .select(OPERATORS.names())
        .cast(OPERATORS)
    )


def _tasks(trace: PreparedTrace, operators: Operators) -> pl.DataFrame:
    """Sum the tasks of each operator, by its number."""
    structure = trace.structure
    task = np.flatnonzero(operators.is_task)
    submit = structure.submit[task]
    runs = trace.spans.select("status", "records_waits")[task].with_columns(
        number=operators.of_row[task],
        start=structure.start[task],
        end=structure.end[task],
        submitted=np.where(submit >= 0, structure.start[submit], structure.start[task]),
        held=_held_back(trace)[task],
    )
    sums = runs.group_by("number").agg(
        tasks=pl.len().cast(pl.Int64),
        errors=(pl.col("status") == "ERROR").sum().cast(pl.Int64),
        busy_ns=(pl.col("end") - pl.col("start") - pl.col("held")).clip(lower_bound=0).sum(),
        # Ray's own tracing ends a generator's span when the generator is made.
        is_recorded=pl.col("records_waits").fill_null(False).all(),
        first_ns=pl.col("submitted").min(),
        last_ns=pl.col("end").max(),
    )
    union = covered(operators.of_row[task], structure.start[task], structure.end[task]).rename({"owner": "number"})
    return sums.join(union, on="number", how="left")


def _held_back(trace: PreparedTrace) -> RowIds:
    """By row of a run: how long (ns) it stood with an item that its consumer did not take."""
    structure = trace.structure
    held = np.zeros(structure.start.size, dtype=np.int64)
    stood = np.flatnonzero((trace.spans.get_column("name") == BACK_PRESSURE).to_numpy())
    run = structure.run_above[stood]
    stood, run = stood[run >= 0], run[run >= 0]
    np.add.at(held, run, structure.end[stood] - structure.start[stood])
    return held


def _queues(trace: PreparedTrace, operators: Operators) -> pl.DataFrame:
    """Sum how long each operator's tasks waited to start, and for what most, by its number."""
    asked = np.flatnonzero(operators.is_task & (trace.structure.submit >= 0))
    pieces = causes_frame(trace.rules, trace.rules.whole_waits(asked))
    of_span = trace.spans.select("trace_id", "span_id")[asked].with_columns(number=operators.of_row[asked])
    by_cause = (
        pieces.join(of_span, on=["trace_id", "span_id"], how="inner")
        .group_by("number", "cause")
        .agg(pl.col("duration_ns").sum())
        .sort("duration_ns", "cause", descending=[True, False])
    )
    return by_cause.group_by("number", maintain_order=True).agg(
        queued_ns=pl.col("duration_ns").sum(), queued_for=pl.col("cause").first()
    )


def _actors(trace: PreparedTrace, operators: Operators) -> pl.DataFrame:
    """Tell how many actors each operator created, and how long the slowest took until it was there, by its number."""
    structure = trace.structure
    made = np.flatnonzero(operators.is_creation & (structure.submit >= 0))
    took = structure.end[made] - structure.start[structure.submit[made]]
    found = pl.DataFrame({"number": operators.of_row[made], "took": took})
    return found.group_by("number").agg(actors=pl.len().cast(pl.Int64), actor_start_ns=pl.col("took").max())


def _slow_actors(trace: PreparedTrace, operators: Operators) -> pl.DataFrame:
    """Name of each operator, by its number, the actor whose tasks take long beside those of its others."""
    structure = trace.structure
    task = np.flatnonzero(operators.is_task)
    took = structure.end[task] - structure.start[task] - _held_back(trace)[task]
    runs = (
        trace.spans.select("session", "actor_id", "status")[task]
        .with_columns(number=operators.of_row[task], took=took)
        .filter(pl.col("actor_id").is_not_null(), pl.col("status").ne_missing("ERROR"))
    )
    if runs.is_empty():
        return pl.DataFrame(schema={"number": pl.Int64, **_SLOW_ACTOR})
    named = runs.join(actor_labels(trace.spans), on=["session", "actor_id"])
    return slow_ones(named, ("number",), "actor", "took").select(
        "number",
        slow_actor="slow",
        slow_actor_tasks="count",
        slow_actor_task_ns="own_ns",
        other_actors_task_ns="others_ns",
    )
