"""What Ray's events say of a task attempt, in pieces: definition, states and profile come from several processes."""

import json
from collections.abc import Iterable
from typing import Any

import polars as pl

from raytrace_analyze.decode.task_events import STATES as OF_EVENTS
from raytrace_analyze.decode.task_events import TASK_EVENTS
from raytrace_analyze.schema import STATES, TIME

ATTEMPT = ("session", "task_id", "attempt")
_MORE_STATES = tuple(state.lower() for state in STATES if state not in OF_EVENTS)
_TIMES = tuple(state.lower() for state in STATES)
_PIECE_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    **TASK_EVENTS,
    **dict.fromkeys(_MORE_STATES, TIME),
    "source": pl.String,
}

PIECES = pl.Schema(_PIECE_COLUMNS)
"""Columns of `TASK_EVENTS`, a time for every state of Ray's, and the file; whatever a piece does not say is null."""

TASK, ACTOR_TASK, ACTOR_CREATION, DRIVER = "NORMAL_TASK", "ACTOR_TASK", "ACTOR_CREATION_TASK", "DRIVER_TASK"
"""Ray's types of tasks. A driver is a task as well: its `name` is its entry point."""

UNNAMED = "events-"
"""How the sessions of files begin that name none: such a name only keeps clusters apart."""

_NO_ACTOR = "f" * 24
_OF_DRIVER = "f" * 40
_UNIQUE_DIGITS = 16
_FULL_TASK_DIGITS = 48


def piece(task_id: str, **told: Any) -> dict[str, Any]:
    """Make a row of `PIECES`: times are integers (ns), and what is not told is null."""
    if task_id.startswith(_OF_DRIVER):
        told["type"] = DRIVER
    tail = task_id[_UNIQUE_DIGITS:] if len(task_id) == _FULL_TASK_DIGITS else _NO_ACTOR
    if not tail.startswith(_NO_ACTOR):  # a task id of Ray's ends with the id of its actor
        told.setdefault("actor_id", tail)
    return {"task_id": task_id, **told}


def frame_of_pieces(rows: Iterable[dict[str, Any]], source: str) -> pl.DataFrame:
    """Make a frame of `PIECES` from the rows of one file."""
    plain = {name: pl.Int64 if dtype == TIME else dtype for name, dtype in PIECES.items()}
    return pl.DataFrame(list(rows), schema=plain, strict=False).with_columns(source=pl.lit(source)).cast(PIECES)


def profile_text(events: Iterable[tuple[str, int, int]]) -> str | None:
    """Write stretches of a profile (name, start and end in ns) as the hook's side file has them; None for none."""
    told = [{"name": name, "start_ns": start, "end_ns": end} for name, start, end in events]
    return json.dumps(told) if told else None


def join_pieces(pieces: pl.DataFrame) -> pl.DataFrame:
    """Put the pieces of each attempt together: one row an attempt, in the columns of `PIECES`.

    Of what several pieces say, the first that says it counts; of a state the latest time. Profiles are strung together.
    """
    rest = [name for name in PIECES if name not in (*ATTEMPT, *_TIMES, "profile", "states")]
    profile = pl.col("profile").drop_nulls().str.slice(1).str.head(-1)
    joined = (
        pieces.with_columns(pl.col("attempt").fill_null(0))
        .group_by(ATTEMPT, maintain_order=True)
        .agg(
            *(pl.col(name).drop_nulls().first() for name in rest),
            *(pl.col(name).max() for name in _TIMES),
            profile=pl.when(profile.len() > 0).then("[" + profile.str.join(",") + "]"),
        )
    )
    more = pl.struct(pl.col(name).dt.epoch("ns").alias(name.upper()) for name in _MORE_STATES).struct.json_encode()
    is_told = pl.any_horizontal(pl.col(name).is_not_null() for name in _MORE_STATES)
    return joined.with_columns(states=pl.when(is_told).then(more)).select(PIECES.names()).cast(PIECES)
