"""What the pieces of queues were for."""

import polars as pl

from raytrace_analyze.names.functions import short_names
from raytrace_analyze.names.spans import class_created, creates_actor
from raytrace_analyze.text.units import duration_text
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording.phrases import SHORT_ID


def cause_sentences(pieces: pl.DataFrame) -> pl.Series:
    """Write a sentence for each piece (columns of `queueing.split.QUEUE_PIECES`)."""
    took = pl.Series(
        [duration_text(duration) for duration in pieces.get_column("duration_ns").to_list()], dtype=pl.String
    )
    numbered = pieces.with_columns(took=took, number=pl.int_range(pl.len(), dtype=pl.Int64))
    # Cause by cause: each phrase is put together for the pieces that it is about, not for all of them.
    said = [
        numbered.filter(pl.col("cause") == str(cause)).select(
            "number", sentence=pl.format("{} waited {}{}", _short("function", "it"), "took", phrase)
        )
        for cause, phrase in _phrases().items()
    ]
    return pl.concat(said).sort("number").get_column("sentence")


def _phrases() -> dict[Cause, pl.Expr]:
    holder = _short("holder_function", "a task")
    has_holder = pl.col("holder_span_id").is_not_null()
    on_node = _node("node_id", " on node {}")
    holder_on = _node("holder_node_id", ", which ran on node {}")
    others = pl.col("ended_meanwhile") - 1
    last_of = (
        pl.when(others > 0)
        .then(pl.format(", the last of {} that ran there meanwhile", others + 1))
        .otherwise(pl.lit(""))
    )

    resource = pl.format("`{}`", pl.col("resource"))
    is_actor = creates_actor(pl.col("holder_function")).fill_null(value=False)

    def known(text: pl.Expr, otherwise: pl.Expr) -> pl.Expr:
        return pl.when(has_holder).then(text).otherwise(otherwise)

    return {
        Cause.DEPENDENCY: known(
            pl.format(" for the result of {}{}", holder, holder_on), pl.lit(" for its arguments to be there")
        ),
        Cause.NO_SLOT: known(
            pl.when(is_actor)
            .then(pl.format(" for the slot of actor {}{}", class_created(holder), holder_on))
            .when(pl.col("resource").is_not_null())
            .then(pl.format(" for {}{}, the last that had what there is of {}", holder, holder_on, resource))
            .otherwise(pl.format(" for {}{}{}: no slot was free", holder, holder_on, last_of)),
            pl.format(" for a free slot{}", on_node),
        ),
        Cause.SLOT_START: pl.format(" for a slot whose worker process was still starting{}", on_node),
        Cause.ACTOR_BUSY: known(
            pl.format(" for {}{}: its actor was busy", holder, last_of), pl.lit(" for its actor, which was busy")
        ),
        Cause.ACTOR_START: known(
            pl.format(" for its actor to start: {}{}", holder, holder_on), pl.lit(" for its actor to start")
        ),
        Cause.WORKER_START: pl.format(" for a worker process to start{}", on_node),
        Cause.TRANSFER: known(
            pl.format(" for its arguments, the result of {} among them, to be fetched", holder),
            pl.lit(" for its arguments to be fetched"),
        ),
        Cause.FUNCTION_LOAD: pl.lit(" for its code to be loaded in the worker process"),
        Cause.RETRY: pl.format(
            " before attempt {}{}",
            pl.col("attempt").fill_null(1),
            _node("holder_node_id", "; the one before ran on node {}"),
        ),
        Cause.RESTORE: pl.format(" for its arguments to be pulled, or restored from disk{}", on_node),
        Cause.STORE_FULL: known(
            pl.format(" for results of {}{} to be stored, which kept its slot until then", holder, holder_on),
            pl.format(" for room in the object store{}", on_node),
        ),
        Cause.PLACEMENT: known(
            pl.when(pl.col("holder_function").is_null())
            .then(pl.lit(" for its placement group: the driver removed another one late"))
            .otherwise(pl.format(" for its placement group: {}{} held what that needs", holder, holder_on)),
            pl.lit(" for its placement group, which needs what nobody had free"),
        ),
        Cause.REPLICA: pl.lit(" for a replica that takes it"),
        Cause.DISPATCH: pl.lit(" for the way to its worker"),
        Cause.UNKNOWN: pl.when(pl.col("on_actor"))
        .then(pl.lit(", and nothing tells for what: its actor had a turn free"))
        .otherwise(pl.format(", and nothing tells for what: there was room{}", on_node)),
    }


def _short(column: str, otherwise: str) -> pl.Expr:
    return short_names(pl.col(column)).fill_null(otherwise)


def _node(column: str, text: str) -> pl.Expr:
    """Name a node by the first digits of its id, where it is known."""
    named = pl.format(text, pl.col(column).str.head(SHORT_ID))
    return pl.when(pl.col(column).is_not_null()).then(named).otherwise(pl.lit(""))
