"""Ray's task events on their way into the span table: read from where version 1 kept them, merged.

They know what a killed worker could not say any more: that its attempt has ended, and why.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.decode.column_types import check_times, check_types
from raytrace_analyze.decode.parquet import CANNOT_READ, check_columns, check_version, conform, first_line
from raytrace_analyze.decode.task_events import STATES, TASK_EVENTS
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.opened import for_polars, readable, whole_content
from raytrace_analyze.names.functions import is_rays_own
from raytrace_analyze.schema import ACTOR_DIED, EVENT_TABLE, TABLE_KEY, TIME, VERSION_KEY, Kind, Status, is_version

ATTEMPT = ("session", "task_id", "attempt")
"""What tells attempts apart: task ids are counted anew by every cluster."""
ENDS_OF_ACTORS = ("ACTOR_DEAD", "ACTOR_LET_GO")
"""The states, told with its creation, of an actor that is over."""
_PROCESS = ("session", "host", "pid")


def events_path(spans: Path) -> Path:
    """Where version 1 kept the task events of a span table: beside it, as `NAME.task_events.parquet`."""
    return spans.with_name(f"{spans.stem}.task_events.parquet")


def read_event_table(path: Path) -> pl.DataFrame:
    """Read what version 1 wrote beside a span table (columns of `TASK_EVENTS`).

    Raises UsageError for what is no such table, is damaged, or was written by a newer version.
    """
    name = readable(path)
    try:
        source = whole_content(path)
        check_version(source, name)
        if pl.read_parquet_metadata(source).get(TABLE_KEY) != EVENT_TABLE:
            raise UsageError(f"{name} holds no task events; move it away, or merge the span files anew")
        rows = pl.read_parquet(source, glob=False)
        check_columns(rows, ["task_id"], name)
        check_types(rows, TASK_EVENTS, name)
        rows = conform(rows, TASK_EVENTS)
        check_times(rows, name)
        return rows
    except CANNOT_READ as error:
        raise UsageError(
            f"{name} is no table of task events that can be read: {first_line(error)}; move it away, or merge the "
            "span files anew"
        ) from error


def is_event_table(path: Path) -> bool:
    """Tell whether a file is a table of task events that a `merge` wrote, of whatever version."""
    try:
        metadata = pl.read_parquet_metadata(for_polars(path))
    except CANNOT_READ:
        return False
    return is_version(metadata.get(VERSION_KEY, "")) and metadata.get(TABLE_KEY) == EVENT_TABLE


def merge_events(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put task events (columns of `TASK_EVENTS`) together, one row an attempt: the one that tells most states."""
    if not frames:
        return TASK_EVENTS.to_frame()
    told = pl.sum_horizontal(pl.col(name).is_not_null() for name in TASK_EVENTS.names())
    return (
        pl.concat(frames)
        .with_columns(told=told)
        .sort(*ATTEMPT, "told", pl.col("states").str.len_bytes(), "states", nulls_last=True)
        .unique(ATTEMPT, keep="last", maintain_order=True)
        .drop("told")
    )


def close_attempts(spans: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Give runs that never ended the end and error that Ray knows of.

    Takes spans with a session each (columns of `schema.DECODED`) and task events (columns of `TASK_EVENTS`). An
    attempt whose process was killed gets the time of its last state; FAILED makes it an ERROR. So does the end of its
    actor, where Ray tells nothing of the actor's attempts. What Ray does not know to have ended stays in flight.
    """
    is_run = pl.col("kind") == pl.lit("CONSUMER", Kind)
    is_open = pl.col("end").is_null() & (is_run | (pl.col("kind") == pl.lit("SERVER", Kind)))
    if events.is_empty() or not spans.select(is_open.any()).item():
        return spans
    lost = is_open & is_run & pl.col("task_id").is_not_null()
    ended = events.select(
        *ATTEMPT,
        known_end=pl.coalesce("failed", "finished"),
        has_failed=pl.col("failed").is_not_null(),
        why=pl.concat_str("error_type", "error_message", separator=": ", ignore_nulls=True),
    )
    # Of some actors (Serve's) Ray keeps no attempts, but knows when they were over.
    with_actor = is_open & pl.col("known_end").is_null() & (pl.col("actor_end") > pl.col("start"))
    closes = (lost & (pl.col("known_end") > pl.col("start"))) | with_actor
    # That is how what Ray's libraries run for themselves ends: no error.
    fails = closes & pl.when(with_actor).then(~is_rays_own(pl.col("function").fill_null(""))).otherwise("has_failed")
    return (
        spans.with_columns(attempt=pl.when(lost).then(pl.col("attempt").fill_null(0)).otherwise("attempt"))
        .join(ended, on=ATTEMPT, how="left", maintain_order="left")
        .join(_ends_of_processes(spans, events), on=_PROCESS, how="left", maintain_order="left", nulls_equal=True)
        .with_columns(
            end=pl.when(closes).then(pl.coalesce("known_end", "actor_end")).otherwise("end"),
            status=pl.when(fails).then(pl.lit("ERROR", Status)).otherwise("status"),
            status_message=pl.when(fails)
            .then(pl.when(with_actor).then(pl.lit(ACTOR_DIED)).otherwise("why"))
            .otherwise("status_message"),
        )
        .drop("known_end", "has_failed", "why", "actor_end")
    )


def _ends_of_processes(spans: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Give the processes of the actors that `_ends_of_actors` tells of, and when these were over: `actor_end`."""
    is_run = pl.col("kind") == pl.lit("CONSUMER", Kind)
    runs = spans.filter(is_run, pl.col("actor_id").is_not_null(), pl.col("pid").is_not_null())
    found = runs.select("actor_id", *_PROCESS).unique().join(_ends_of_actors(events), on=["session", "actor_id"])
    return found.group_by(_PROCESS).agg(pl.col("actor_end").max())


def _ends_of_actors(events: pl.DataFrame) -> pl.DataFrame:
    """Give when actors were over, those of which nothing else is known: `session`, `actor_id` and `actor_end`."""
    told = [pl.col("states").str.json_path_match(f"$.{state}").cast(pl.Int64, strict=False) for state in ENDS_OF_ACTORS]
    alone = pl.all_horizontal(pl.col(state.lower()).is_null() for state in STATES)
    ends = events.filter(alone, pl.col("actor_id").is_not_null(), pl.col("states").is_not_null())
    ends = ends.select("session", "actor_id", actor_end=pl.max_horizontal(told).cast(TIME))
    return ends.drop_nulls().group_by("session", "actor_id").agg(pl.col("actor_end").max())
