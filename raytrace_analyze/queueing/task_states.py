"""Ray's task events beside the runs: when each attempt reached which state, as arrays over the span table."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from raytrace_analyze.table.lineage import Flags, Nanos
from raytrace_analyze.trace.asof import NEVER
from raytrace_analyze.trace.span_arrays import Structure

_KEYS = ("session", "task_id", "attempt")
_SPAN_OF_PROFILE = r'"task:{}"\s*,\s*"start_ns"\s*:\s*(\d+)(?:\s*,\s*"end_ns"\s*:\s*(\d+))?'
_ACTOR_STATE = "$.PENDING_ACTOR_TASK_{}"


@dataclass(frozen=True)
class States:
    """When each run's attempt reached which state; ns since the epoch, NEVER where that is not known."""

    known: Flags
    """Runs with task events that tell of more than their end."""
    node_assignment: Nanos
    """PENDING_NODE_ASSIGNMENT: the arguments are there."""
    submitted: Nanos
    """SUBMITTED_TO_WORKER: the slot and the worker, or the actor, are there."""
    args_fetch: Nanos
    """Of actors' methods: the actor fetches the arguments."""
    ordering: Nanos
    """Of actors' methods: it has them, the method stands in its queue."""
    running: Nanos
    arguments: Nanos
    """The worker begins to unpack the arguments."""
    arguments_end: Nanos
    execute: Nanos
    """The function's body begins."""
    done: Nanos
    """FINISHED or FAILED: whoever submitted the task knows that it is over."""
    resources: pl.Series
    """The demand as JSON, null where it is not known."""


def read_states(structure: Structure, task_events: pl.DataFrame | None, as_recorded: pl.DataFrame) -> States:
    """Find for each run the events of its attempt (columns of `TASK_EVENTS`); None and an empty table tell nothing.

    An actor that restarts has one row of events for all its creations: it goes to the one that started when they say.
    `as_recorded` is the span table before clocks were corrected: what was stamped in the process of a span is shifted
    as the span is.
    """
    found = _of_runs(structure, task_events) if task_events is not None and not task_events.is_empty() else None
    size = structure.spans.height
    rows = found.get_column("row").to_numpy() if found is not None else np.empty(0, dtype=np.int64)

    unknown = np.full(size, NEVER, dtype=np.int64)
    shift = structure.start - as_recorded.get_column("start").to_physical().to_numpy()
    submit = structure.submit[rows]
    shift_of_submit = np.where(submit >= 0, shift[submit], shift[rows])

    def times(name: str, shift: Nanos) -> Nanos:
        if found is None:
            return unknown
        values = unknown.copy()
        stamped = found.get_column(name).fill_null(NEVER).to_numpy()
        values[rows] = np.where(stamped > NEVER, stamped + shift, NEVER)
        return values

    resources = pl.Series("resources", [None], dtype=pl.String).new_from_index(0, size)
    if found is not None:
        resources = resources.scatter(rows, found.get_column("resources"))
    shift_of_run = shift[rows]
    node_assignment, submitted = times("node_assignment", shift_of_submit), times("submitted", shift_of_submit)
    running = times("running", shift_of_run)
    return States(
        known=(np.maximum(np.maximum(node_assignment, submitted), running) > NEVER),
        node_assignment=node_assignment,
        submitted=submitted,
        args_fetch=times("args_fetch", shift_of_run),
        ordering=times("ordering", shift_of_run),
        running=running,
        arguments=times("arguments", shift_of_run),
        arguments_end=times("arguments_end", shift_of_run),
        execute=times("execute", shift_of_run),
        done=times("done", shift_of_submit),
        resources=resources,
    )


def _of_runs(structure: Structure, task_events: pl.DataFrame) -> pl.DataFrame:
    runs = structure.spans.select(
        "session",
        structure.run_task,
        pl.col("attempt").fill_null(0),
        row=pl.int_range(pl.len(), dtype=pl.Int64),
        start=pl.Series(structure.start),
    ).filter(pl.Series(structure.is_run) & pl.col("task_id").is_not_null())
    states, profile = pl.col("states"), pl.col("profile")
    events = task_events.with_columns(pl.col("attempt").fill_null(0)).select(
        *_KEYS,
        "resources",
        node_assignment=pl.col("pending_node_assignment").to_physical(),
        submitted=pl.col("submitted_to_worker").to_physical(),
        running=pl.col("running").to_physical(),
        done=pl.coalesce("finished", "failed").to_physical(),
        args_fetch=_actor_state(states, "ARGS_FETCH"),
        ordering=_actor_state(states, "ORDERING_OR_CONCURRENCY"),
        arguments=profile.str.extract(_SPAN_OF_PROFILE.format("deserialize_arguments"), 1).cast(pl.Int64, strict=False),
        arguments_end=profile.str.extract(_SPAN_OF_PROFILE.format("deserialize_arguments"), 2).cast(
            pl.Int64, strict=False
        ),
        execute=profile.str.extract(_SPAN_OF_PROFILE.format("execute"), 1).cast(pl.Int64, strict=False),
    )
    told = pl.coalesce("running", "submitted", "node_assignment")
    return (
        runs.join(events, on=_KEYS, how="inner", nulls_equal=True)
        .sort((pl.col("start") - told).abs(), "row", nulls_last=True)
        .unique(_KEYS, keep="first", maintain_order=True)
    )


def _actor_state(states: pl.Expr, name: str) -> pl.Expr:
    stamped = pl.when(pl.col("actor_id").is_not_null()).then(states)
    return stamped.str.json_path_match(_ACTOR_STATE.format(name)).cast(pl.Int64, strict=False)
