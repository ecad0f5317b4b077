"""Attempts that Ray's task events know and no span tells of, as rows of the span table."""

import hashlib
import re
from collections.abc import Sequence

import polars as pl

from raytrace_analyze.names.spans import RUN_SUFFIX, SUBMIT_SUFFIX
from raytrace_analyze.schema import TABLE, Category, Kind, Status

_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_NOTHING = {"attributes": "{}", "events": "[]", "links": "[]", "resource": "{}"}


def submits_of(attempts: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Find the submits of attempts among spans: one each, the first in order of start, trace and id."""
    return first_submits(
        [
            spans.filter(pl.col("submitted_task_id").is_not_null())
            .select(
                "session",
                "trace_id",
                "start",
                task_id="submitted_task_id",
                parent_id="span_id",
                submitted="function",
                submit_name="name",
                submitted_to="actor_id",
            )
            .join(attempts, on=["session", "task_id"], how="semi")
        ]
    )


def first_submits(found: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put what `submits_of` found in several parts of a table together."""
    in_order = pl.concat(found).sort("start", "trace_id", "parent_id")
    return in_order.unique(["session", "task_id"], keep="first", maintain_order=True)


def rows_of_attempts(attempts: pl.DataFrame, submits: pl.DataFrame) -> pl.DataFrame:
    """Make a row (columns of `schema.TABLE`) of each attempt that has no span.

    `attempts` has the columns of task events, and `start` and `end` as far as they are known. Of its submit, where
    there is one, come trace, parent and the function's name.
    """
    rows = attempts.join(submits.drop("start"), on=["session", "task_id"], how="left", maintain_order="left")
    keys = rows.select("session", "task_id", "attempt").rows()
    made_up = {
        "span_id": pl.Series([made_up_id(_SPAN_DIGITS, *key) for key in keys], dtype=pl.String),
        "own_trace": pl.Series([made_up_id(_TRACE_DIGITS, *key[:2]) for key in keys], dtype=pl.String),
    }
    failed = pl.col("failed").is_not_null()
    function = pl.coalesce("submitted", "name")
    rows = rows.with_columns(
        **made_up,
        function=function,
        name=pl.coalesce(
            pl.col("submit_name").str.replace(f"{re.escape(SUBMIT_SUFFIX)}$", RUN_SUFFIX), "name", pl.lit("task")
        ),
        actor_id=pl.coalesce("actor_id", "submitted_to"),
        kind=pl.lit("CONSUMER", Kind),
        category=pl.lit("task", Category),
        status=pl.when(failed).then(pl.lit("ERROR", Status)).otherwise(pl.lit("UNSET", Status)),
        status_message=pl.when(failed).then(
            pl.concat_str("error_type", "error_message", separator=": ", ignore_nulls=True)
        ),
        **{name: pl.lit(text) for name, text in _NOTHING.items()},
    ).with_columns(trace_id=pl.coalesce("trace_id", "own_trace"))
    missing = {name: pl.lit(None, dtype) for name, dtype in TABLE.items() if name not in rows.columns}
    return rows.with_columns(**missing).select(TABLE.names()).cast(TABLE)


def made_up_id(digits: int, *key: object) -> str:
    """Make up an id: the same for the same attempt, whatever it is read with."""
    text = "\0".join(map(str, key)).encode()
    return hashlib.blake2b(text, digest_size=digits // 2).hexdigest()
