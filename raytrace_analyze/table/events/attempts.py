"""Ray's task events in the rows of the span table: put there, and read from there again.

Everything is keyed by session, task id and attempt, since every cluster counts its tasks anew.
"""

from collections.abc import Iterable, Sequence

import polars as pl

from raytrace_analyze.decode.parquet import conform
from raytrace_analyze.decode.task_events import STATES as OF_EVENTS
from raytrace_analyze.decode.task_events import TASK_EVENTS
from raytrace_analyze.names.spans import creates_actor
from raytrace_analyze.schema import (
    EVENT_COLUMNS,
    FROM_EVENTS,
    PROFILE_COLUMNS,
    STATE_COLUMNS,
    TABLE,
    TIME,
    Category,
)
from raytrace_analyze.table.events.rows import rows_of_attempts, submits_of
from raytrace_analyze.table.events.task_events import ATTEMPT, ENDS_OF_ACTORS, merge_events

_DRIVER = "DRIVER_TASK"
_CREATION = "ACTOR_CREATION_TASK"
_PROFILED = r'"task:{}"\s*,\s*"start_ns"\s*:\s*(\d+)(?:\s*,\s*"end_ns"\s*:\s*(\d+))?'
_OF_ACTORS = tuple(STATE_COLUMNS[state] for state in ENDS_OF_ACTORS)
_GROUP = {"start_ns": 1, "end_ns": 2}
_IDENTITY = ["trace_id", "span_id"]
_TOLD_BY = ("state_running", "state_submitted_to_worker", "state_pending_node_assignment")
"""What says when an attempt started, the best first."""


def with_task_events(spans: pl.DataFrame, task_events: pl.DataFrame | None) -> pl.DataFrame:
    """Give a span table with Ray's task events in its rows: those that it has, and `task_events`.

    For tables and events that come apart, as version 0.1.0 gave them. `spans` has columns of `schema.TABLE`, those of
    task events may be missing; `task_events` those of `decode.task_events.TASK_EVENTS`. The order of the spans stays;
    attempts without a span come last. Of events of one attempt those that tell more stay.
    """
    if task_events is None or task_events.is_empty():
        return spans
    bare = only_spans(spans).drop(EVENT_COLUMNS.names(), strict=False)
    return put_events(bare, merge_events([task_events_of(spans), conform(task_events, TASK_EVENTS)]))


def is_attempt() -> pl.Expr:
    """Tell the rows of a table that are attempts which only task events know."""
    return pl.col(FROM_EVENTS).fill_null(False)


def only_spans(table: pl.DataFrame) -> pl.DataFrame:
    """Give the rows that are spans, without the attempts that only task events know."""
    return table.filter(~is_attempt()) if _has_attempts(table) else table


def only_attempts(table: pl.DataFrame) -> pl.DataFrame:
    """Give the attempts that only task events know."""
    return table.filter(FROM_EVENTS) if _has_attempts(table) else table.clear()


def _has_attempts(table: pl.DataFrame) -> bool:
    return FROM_EVENTS in table.columns and bool(table.get_column(FROM_EVENTS).any())


def put_events(spans: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Put task events (columns of `TASK_EVENTS`, one row an attempt) into the rows of their runs.

    `spans` has a session in every row and no columns of task events yet. Attempts without a run are added as rows, at
    the end: those with a time, of a session that is known. Gives columns of `schema.TABLE`.
    """
    if events.is_empty():
        return with_event_columns(spans)
    told = told_events(events, spans.select("node_id", "session").unique())
    pairs = nearest_runs([runs_of_events(spans, told)])
    rows = put_in_rows(spans, told, pairs)
    alone = without_run(told, pairs)
    return pl.concat([rows, rows_of_attempts(alone, submits_of(alone, spans))]) if alone.height else rows


def told_events(events: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Give task events in the columns that go to the table, each with its number (`event`).

    `nodes` are the `node_id` and `session` of all spans, each pair once.
    """
    return _as_columns(_with_session(events, nodes)).with_row_index("event")


def put_in_rows(spans: pl.DataFrame, told: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Put what `told_events` gives into the rows of the runs that `nearest_runs` found; columns of `schema.TABLE`."""
    here = spans.select(_IDENTITY).with_row_index("row").join(pairs, on=_IDENTITY)
    event = pl.Series([None], dtype=pl.Int64).new_from_index(0, spans.height)
    event = event.scatter(here.get_column("row"), here.get_column("event").cast(pl.Int64))
    of_row = told.select(pl.col("task_id", *EVENT_COLUMNS.names()).gather(event))
    task_id = (
        pl.when(event.is_not_null()).then(pl.coalesce("task_id", of_row.get_column("task_id"))).otherwise("task_id")
    )
    rows = spans.with_columns(*of_row.drop("task_id", FROM_EVENTS), pl.lit(False).alias(FROM_EVENTS), task_id=task_id)
    return rows.select(TABLE.names())


def without_run(told: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Give the events of attempts that no run is paired with and that are rows of their own."""
    return told.join(pairs, on="event", how="anti").filter(
        pl.col("start").is_not_null(), pl.col("session").is_not_null(), pl.col("type").ne_missing(pl.lit(_DRIVER))
    )


def with_event_columns(spans: pl.DataFrame) -> pl.DataFrame:
    """Give columns of `schema.TABLE` where those of task events may be missing: nothing is known of them then."""
    if spans.columns == TABLE.names():
        return spans
    missing = {name: pl.lit(None, dtype) for name, dtype in TABLE.items() if name not in spans.columns}
    if FROM_EVENTS in missing:
        missing[FROM_EVENTS] = pl.lit(False)
    return spans.with_columns(**missing).select(TABLE.names())


def _with_session(events: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Give events that do not name their session that of their node, else the only one that there is."""
    if not events.get_column("session").null_count():
        return events
    of_node = nodes.drop_nulls().group_by("node_id").agg(node_session=pl.col("session").min())
    sessions = nodes.get_column("session").unique()
    only = sessions[0] if sessions.len() == 1 else None
    found = events.join(of_node, on="node_id", how="left", maintain_order="left")
    session = pl.coalesce("session", "node_session", pl.lit(only, pl.String))
    return found.with_columns(session=session).drop("node_session")


def _as_columns(events: pl.DataFrame) -> pl.DataFrame:
    """Give the columns that go to the table, and behind them what a row of its own needs."""
    columns = {column: _state(state) for state, column in STATE_COLUMNS.items()} | {
        column: _time(pl.col("profile").str.extract(_PROFILED.format(name), _GROUP[end]))
        for (name, end), column in PROFILE_COLUMNS.items()
    }
    told = events.with_columns(
        pl.col("attempt").fill_null(0),
        required_resources="resources",
        **columns,
        **{FROM_EVENTS: pl.lit(True)},
    )
    # The end of an actor alone says nothing of when it was created.
    of_attempt = [column for column in columns if column not in _OF_ACTORS]
    return told.with_columns(start=pl.min_horizontal(of_attempt), end=pl.coalesce("failed", "finished"))


def _state(state: str) -> pl.Expr:
    if state in OF_EVENTS:
        return pl.col(state.lower())
    named = pl.when(pl.col("states").str.contains(state, literal=True)).then("states")
    return _time(named.str.json_path_match(f"$.{state}"))


def _time(text: pl.Expr) -> pl.Expr:
    """Read a time in ns; 0 is how Ray says that there is none."""
    number = text.cast(pl.Int64, strict=False)
    return pl.when(number > 0).then(number).cast(TIME)


def runs_of_events(spans: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Pair runs with the `event`s of their attempts: `trace_id`, `span_id`, `start`, and how far `off` it is (ns)."""
    runs = (
        spans.select("session", "task_id", "attempt", "start", "category", *_IDENTITY, "parent_id")
        .filter(pl.col("category") == pl.lit("task", Category))
        .with_columns(pl.col("attempt").fill_null(0))
    )
    if runs.get_column("task_id").null_count():
        submits = spans.filter(pl.col("submitted_task_id").is_not_null()).select(
            "trace_id", "submitted_task_id", parent_id="span_id"
        )
        runs = runs.join(submits, on=["trace_id", "parent_id"], how="left").with_columns(
            task_id=pl.coalesce("task_id", "submitted_task_id")
        )
    events = told.select(*ATTEMPT, "event", "type", stated=pl.coalesce(*_TOLD_BY))
    # Ray does not count how often an actor was created again: all its creations are attempt 0 there, and what it tells
    # is of one of them.
    is_creation = pl.col("type").eq_missing(pl.lit(_CREATION))
    of_attempt = runs.join(events, on=ATTEMPT)
    untold = runs.filter(pl.col("attempt") > 0).join(of_attempt, on=_IDENTITY, how="anti")
    again = untold.join(events.filter(is_creation, pl.col("attempt") == 0).drop("attempt"), on=["session", "task_id"])
    return pl.concat([of_attempt, again.select(of_attempt.columns)]).select(
        *_IDENTITY, "start", "event", off=(pl.col("start") - pl.col("stated")).abs()
    )


def nearest_runs(pairs: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Give each `event` the run that started when it says: `trace_id`, `span_id` and `event`, of what parts found."""
    return (
        pl.concat(pairs)
        .sort("off", "start", *_IDENTITY, nulls_last=True)
        .unique("event", keep="first", maintain_order=True)
        .select(*_IDENTITY, "event")
    )


def task_events_of(table: pl.DataFrame) -> pl.DataFrame:
    """Give the task events in the rows of a span table, in the columns that `put_events` takes (`TASK_EVENTS`).

    `states` and `profile` hold what the table keeps; `parent_task_id` is null.
    """
    tells = [name for name in EVENT_COLUMNS if name != FROM_EVENTS and name in table.columns]
    # Tables of before have not all of them.
    table = table.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in EVENT_COLUMNS.items() if name not in table.columns
    )
    tells = [name for name in tells if table.get_column(name).null_count() < table.height]
    if not tells:
        return TASK_EVENTS.to_frame()
    kind = (
        pl.when(pl.col("actor_id").is_null())
        .then(pl.lit("NORMAL_TASK"))
        .when(creates_actor(pl.col("function")))
        .then(pl.lit("ACTOR_CREATION_TASK"))
        .otherwise(pl.lit("ACTOR_TASK"))
    )
    message = pl.col("status_message").str.strip_prefix(pl.format("{}: ", "error_type"))
    found = table.filter(pl.any_horizontal(pl.col(tells).is_not_null()), pl.col("task_id").is_not_null())
    known = found.with_columns(
        pl.col("attempt").fill_null(0),
        type=kind,
        name="function",
        resources="required_resources",
        states=_object([(state, pl.col(column)) for state, column in STATE_COLUMNS.items()]),
        profile=_profile(),
        error_message=pl.when(message != pl.col("error_type")).then(message),
        **{state.lower(): pl.col(STATE_COLUMNS[state]) for state in OF_EVENTS},
    )
    return conform(known, TASK_EVENTS)


def _object(values: Iterable[tuple[str, pl.Expr]]) -> pl.Expr:
    """Write times as a JSON object, without those that are not known."""
    texts = [pl.concat_str(pl.lit(f'"{name}":'), value.to_physical()) for name, value in values]
    return pl.concat_str(pl.lit("{"), pl.concat_str(texts, separator=",", ignore_nulls=True), pl.lit("}"))


def _profile() -> pl.Expr:
    texts = []
    for name in dict.fromkeys(name for name, _ in PROFILE_COLUMNS):
        times = [(end, pl.col(column)) for (of, end), column in PROFILE_COLUMNS.items() if of == name]
        text = pl.concat_str(pl.lit(f'{{"name":"task:{name}",'), _object(times).str.strip_prefix("{"))
        texts.append(pl.when(times[0][1].is_not_null()).then(text))
    return pl.concat_str(pl.lit("["), pl.concat_str(texts, separator=",", ignore_nulls=True), pl.lit("]"))
