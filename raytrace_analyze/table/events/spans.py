"""Spans for programs that no hook traced: submits and runs, told from the states of their tasks."""

import json
from typing import Any

import polars as pl

from raytrace_analyze.decode.event_pieces import DRIVER, UNNAMED
from raytrace_analyze.names.attributes import ENTRYPOINT, RESOURCES, SESSION
from raytrace_analyze.names.spans import DRIVER_SPAN, RUN_SUFFIX, SUBMIT_SUFFIX
from raytrace_analyze.schema import DECODED, Kind, Status
from raytrace_analyze.table.events.rows import made_up_id

TOLD_BY = "raytrace_analyze.told_by"
"""An attribute of such spans: they were recorded by nobody."""

_JOB = ("session", "job_id")
_SUBMITTED = ("pending_args_avail", "pending_node_assignment", "submitted_to_worker")
"""What says when a task was submitted, the best first."""
_EXECUTED = r'"task:execute"\s*,\s*"start_ns"\s*:\s*(\d+)(?:\s*,\s*"end_ns"\s*:\s*(\d+))?'


def split_by_hook(pieces: pl.DataFrame, known: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the pieces of jobs that no span tells of, and those that add to what the `known` spans say.

    A job is known by its session or, where one of both names none, by the nodes that it ran on; there the pieces'
    session becomes null.
    """
    by_session = known.select(_JOB).drop_nulls().unique()
    on_nodes = known.select("node_id", "job_id").drop_nulls().unique()
    by_node = pieces.join(on_nodes, on=["node_id", "job_id"], how="semi").select(_JOB).unique()
    alone = pieces.join(pl.concat([by_session, by_node]), on=_JOB, how="anti")
    adding = pieces.join(alone, on=["session", "task_id", "attempt"], how="anti")
    session = pl.when(~pl.col("session").str.starts_with(UNNAMED)).then("session")
    return alone, adding.with_columns(session=session)


def spans_of_events(alone: pl.DataFrame) -> pl.DataFrame:
    """Make spans (columns of `schema.DECODED`) of joined pieces (columns of `event_pieces.PIECES`).

    A run is a CONSUMER below its submit, a PRODUCER without a length; that is in the run of the parent task, or in the
    driver. What was waited for is not in events, so that spans do not say it and the path infers it.
    """
    is_driver = pl.col("type").eq_missing(pl.lit(DRIVER))
    ran = alone.filter(~is_driver & pl.col("running").is_not_null())
    if ran.is_empty():
        return DECODED.to_frame()
    runs = _runs(ran)
    submits = _submits(alone.filter(~is_driver))
    drivers = _drivers(alone.filter(is_driver), runs, submits)
    submits = _nested(submits, runs, drivers)
    runs = runs.join(
        submits.select("session", task_id="submitted_task_id", parent_id="span_id"),
        on=["session", "task_id"],
        how="left",
        maintain_order="left",
    )
    return pl.concat([_finished(drivers), _finished(submits), _finished(runs)])


def _runs(attempts: pl.DataFrame) -> pl.DataFrame:
    """A run lasts from when its function began to execute to its end; without a profile from Ray's RUNNING."""
    executed = {
        f"executed_{name}": pl.col("profile").str.extract(_EXECUTED, group).cast(pl.Int64).cast(DECODED["start"])
        for name, group in (("start", 1), ("end", 2))
    }
    failed = pl.col("failed").is_not_null()
    why = pl.concat_str("error_type", "error_message", separator=": ", ignore_nulls=True)
    return (
        attempts.with_columns(**executed)
        .with_columns(
            start=pl.coalesce("executed_start", "running"),
            end=pl.when(failed).then("failed").otherwise(pl.coalesce("executed_end", "finished")),
            kind=pl.lit("CONSUMER", Kind),
            status=pl.when(failed).then(pl.lit("ERROR", Status)).otherwise(pl.lit("UNSET", Status)),
            status_message=pl.when(failed).then(why),
            function="name",
            name=pl.col("name").fill_null("task") + RUN_SUFFIX,
            span_id=_ids("run", "session", "task_id", "attempt"),
        )
        .with_columns(
            end=pl.when(pl.col("end") >= pl.col("start")).then("end").otherwise(pl.coalesce("finished", "failed"))
        )
    )


def _submits(attempts: pl.DataFrame) -> pl.DataFrame:
    """A submit for each task of which it is known when that was."""
    return (
        attempts.with_columns(start=pl.coalesce(_SUBMITTED))
        .filter(pl.col("start").is_not_null())
        .sort("session", "task_id", "attempt")
        .unique(["session", "task_id"], keep="first", maintain_order=True)
        .with_columns(
            end="start",
            kind=pl.lit("PRODUCER", Kind),
            status=pl.lit("UNSET", Status),
            function="name",
            name=pl.col("name").fill_null("task") + SUBMIT_SUFFIX,
            submitted_task_id="task_id",
            span_id=_ids("submit", "session", "task_id"),
        )
    )


def _drivers(drivers: pl.DataFrame, runs: pl.DataFrame, submits: pl.DataFrame) -> pl.DataFrame:
    """The span of each driver that events tell of: as long as Ray says, else as its tasks."""
    times = pl.concat([runs.select(*_JOB, "start", "end"), submits.select(*_JOB, "start", "end")])
    lasted = times.group_by(_JOB).agg(
        first=pl.col("start").min(), last=pl.max_horizontal(pl.col("start").max(), pl.col("end").max())
    )
    return (
        drivers.join(lasted, on=_JOB, how="inner", maintain_order="left")
        .with_columns(
            start=pl.min_horizontal("running", "first"),
            end=pl.coalesce(pl.max_horizontal("finished", "failed"), "last"),
            entrypoint="name",
            name=pl.lit(DRIVER_SPAN),
            kind=pl.lit("INTERNAL", Kind),
            status=pl.lit("UNSET", Status),
            span_id=_ids("driver", *_JOB),
        )
        .with_columns(task_id=pl.lit(None, pl.String), attempt=pl.lit(None, pl.Int32))
    )


def _nested(submits: pl.DataFrame, runs: pl.DataFrame, drivers: pl.DataFrame) -> pl.DataFrame:
    """Put each submit below the attempt of its parent task that ran then, else below the driver, in its process."""
    where = ("node_id", "worker_id", "pid", "source")
    begun = runs.select(
        "session",
        "start",
        pl.col(where).name.prefix("of_"),
        parent_task_id="task_id",
        of_run="span_id",
    )
    of_driver = drivers.select(*_JOB, pl.col(where).name.prefix("driver_"), of_driver="span_id")
    told = (
        submits.sort("start")
        .join_asof(begun.sort("start"), on="start", by=["session", "parent_task_id"], check_sortedness=False)
        .join(of_driver, on=_JOB, how="left", maintain_order="left")
    )
    in_run = pl.col("of_run").is_not_null()
    return told.with_columns(
        parent_id=pl.coalesce("of_run", "of_driver"),
        **{name: pl.when(in_run).then(f"of_{name}").otherwise(f"driver_{name}") for name in where},
        task_id=pl.when(in_run).then("parent_task_id"),
        attempt=pl.lit(None, pl.Int32),
    )


def _finished(rows: pl.DataFrame) -> pl.DataFrame:
    """Give the columns of `DECODED`; a row whose process is not known has no file, or it would get the file's."""
    made_up = rows.with_columns(
        trace_id=_ids("trace", *_JOB, digits=32),
        attributes=_attributes(rows),
        events=pl.lit("[]"),
        links=pl.lit("[]"),
        resource=_resources(rows.get_column("session")),
        source=pl.when(pl.col("pid").is_not_null() | pl.col("worker_id").is_not_null()).then("source"),
    )
    missing = {name: pl.lit(None, dtype) for name, dtype in DECODED.items() if name not in made_up.columns}
    return made_up.with_columns(**missing).select(DECODED.names()).cast(DECODED)


def _attributes(rows: pl.DataFrame) -> pl.Series:
    named = {"entrypoint": ENTRYPOINT, "resources": RESOURCES, "function": "ray.function", "job_id": "ray.job_id"}
    told = [name for name in named if name in rows.columns]
    texts = [
        json.dumps({TOLD_BY: "Ray's events"} | {named[name]: value for name, value in row.items() if value is not None})
        for row in rows.select(told).iter_rows(named=True)
    ]
    return pl.Series(texts, dtype=pl.String)


def _resources(sessions: pl.Series) -> pl.Series:
    """Let a merge of merges know the session."""
    known = {one: json.dumps({"attributes": {SESSION: one}}) for one in sessions.unique()}
    return sessions.replace_strict(known, return_dtype=pl.String)


def _ids(*key: str, digits: int = 16) -> pl.Expr:
    """Make up an id of what the columns say, the same wherever that is read."""
    kind, *columns = key

    def make(row: dict[str, Any]) -> str:
        return made_up_id(digits, kind, *row.values())

    return pl.struct(columns).map_elements(make, return_dtype=pl.String)
