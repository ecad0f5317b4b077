"""What is said of segments beside what they are: how a run ended, and what a wait did not get."""

import polars as pl

from raytrace_analyze.names.attributes import AWAITED_TASK_IDS, json_of
from raytrace_analyze.path.outcome import endings, failures
from raytrace_analyze.vocabulary.paths import Category

_MOMENT_NS = 1_000_000
"""What a path leaves so soon before its end has ended there."""


def with_endings(segments: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Say in a column `ended`, of the last own segment of each run that gave no result, how it ended (`Ending`).

    Nothing is said of a run that the path leaves before its end: how it ended later decided nothing. `spans` is the
    span table (columns of `schema.TABLE`).
    """
    failed = spans.filter(failures()).unique(["trace_id", "span_id"])
    failed = failed.select("trace_id", "span_id", ended=endings(), over=pl.col("end").to_physical())
    is_last = pl.struct("trace_id", "span_id").is_last_distinct() & (pl.col("category") == Category.SELF)
    found = segments.join(failed, on=["trace_id", "span_id"], how="left", maintain_order="left")
    is_its_end = pl.col("over").is_null() | (pl.col("over") <= pl.col("end_ns") + _MOMENT_NS)
    return _with_missing(found.with_columns(ended=pl.when(is_last & is_its_end).then("ended")).drop("over"), spans)


def _with_missing(segments: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Say in a column `missing`, of waits that did not get what they asked for, a function of which nothing ran.

    Or of which all that ran before the end of the wait failed: then `has_failed` is true; or that never ended: then
    `is_open` is. A wait that failed for a call
    which never ran (of an actor that was gone, or about to be created again) has its id among the ready ones.
    """
    on_path = segments.filter(category=Category.WAIT).select("trace_id", "span_id")
    # Few wait on a path, and looking through attributes takes long.
    waits = spans.filter(pl.col("span_id").is_in(on_path.get_column("span_id").implode()))
    may_lack = pl.col("attributes").str.contains(AWAITED_TASK_IDS, literal=True)
    may_lack |= (pl.col("status") == "ERROR") & (pl.col("ready_task_ids").list.len() > 0)
    waits = waits.filter(may_lack).join(on_path, on=["trace_id", "span_id"], how="semi")
    asked = [
        json_of(text, {}).get(AWAITED_TASK_IDS) or ready
        for text, ready in waits.select("attributes", "ready_task_ids").iter_rows()
    ]
    first = [ids[0] if isinstance(ids, list) and ids and isinstance(ids[0], str) else None for ids in asked]
    known = pl.Series(first, dtype=pl.String).drop_nulls().unique().implode()
    tasks = spans.filter(pl.col("task_id").is_in(known), pl.col("category") == "task")
    ran = tasks.group_by("session", asked="task_id").agg(
        has_failed=(pl.col("status") == "ERROR").all(), last=pl.col("end").max(), is_open=pl.col("end").is_null().any()
    )
    named = spans.filter(pl.col("submitted_task_id").is_in(known))
    names = named.select("session", asked="submitted_task_id", missing="function").unique(["session", "asked"])
    told = waits.select("trace_id", "span_id", "session", "end", asked=pl.Series(first, dtype=pl.String))
    told = told.join(names, on=["session", "asked"]).join(ran, on=["session", "asked"], how="left")
    over = (pl.col("has_failed") & (pl.col("last") < pl.col("end"))).fill_null(value=False)
    told = told.filter(over | pl.col("has_failed").is_null() | pl.col("is_open"))
    told = told.select("trace_id", "span_id", "missing", "has_failed", "is_open")
    return segments.join(told, on=["trace_id", "span_id"], how="left", maintain_order="left")
