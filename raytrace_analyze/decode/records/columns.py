"""Records to columns: the frame of `schema.DECODED`, built a stretch at a time."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl
from msgspec.structs import fields

from raytrace_analyze.decode.records.record import Attributes, Record, Resource, Status, attributes_of, resource_of
from raytrace_analyze.decode.records.times import times_of
from raytrace_analyze.names import serve as serve_names
from raytrace_analyze.names.functions import OPERATOR_TASKS
from raytrace_analyze.names.spans import RUN_SUFFIX, SUBMIT_SUFFIX
from raytrace_analyze.schema import DECODED, Kind
from raytrace_analyze.schema import Status as StatusType

ATTRIBUTE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "attribute_job_id": pl.String,
    "function": pl.String,
    "task_id": pl.String,
    "actor_id": pl.String,
    "attribute_node_id": pl.String,
    "attribute_worker_id": pl.String,
    "attribute_pid": pl.String,
    "submitted_task_id": pl.String,
    "dependency_task_ids": pl.List(pl.String),
    "ready_task_ids": pl.List(pl.String),
    "attempt": pl.Int32,
    "concurrent": pl.Boolean,
    "task_name": pl.String,
}
"""In the order of the fields of `Attributes`."""

ATTRIBUTE_COLUMNS = dict(zip((field.encode_name for field in fields(Attributes)), ATTRIBUTE_SCHEMA, strict=True))
"""The column of each attribute that becomes one."""

_RESOURCE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "resource": pl.String,
    "session": pl.String,
    "resource_job_id": pl.String,
    "resource_node_id": pl.String,
    "resource_worker_id": pl.String,
    "host": pl.String,
    "resource_pid": pl.Int64,
    "records_waits": pl.Boolean,
    "instance_id": pl.String,
}
"""In the order of the fields of `Resource`."""

_FILLED = ("job_id", "node_id", "worker_id", "pid", "host", "function", "task_id", "actor_id", "attempt")
"""What a finished table may have from elsewhere than from a span's own record."""

_RECORDED = '"telemetry.sdk.'

_NO_STATUS = Status()

_BETWEEN = "\n"

_EMPTY_JSON = {"attributes": b"{}", "events": b"[]", "links": b"[]"}

_HAS_IDS = pl.col("trace_id").str.contains("^(?:[0-9a-f]{16}){1,2}$") & pl.col("span_id").str.contains("^[0-9a-f]{16}$")
"""Some tracers have trace ids of 64 bits."""

_NO_ID = "trace_id or span_id is no id: 32 (or 16) and 16 hex digits"
_NO_TIME = "start_time or end_time is no time from 1970 to 2261"

_NO_JOB = "ffffffff"
"""Ray's nil job id."""


def empty_frame() -> pl.DataFrame:
    """Give a frame of `schema.DECODED` without rows."""
    return DECODED.to_frame()


def build_frame(records: Sequence[Record], sources: Sequence[str]) -> tuple[pl.DataFrame, dict[int, str]]:
    """Build the frame of `schema.DECODED` from records and the file that each came from.

    Gives the frame, and for the records that are not in it, by index and in their order, what is wrong with them.
    """
    if not records:
        return empty_frame(), {}
    return finished(as_raw(records).with_columns(source=pl.Series(sources, dtype=pl.String)))


def as_raw(records: Sequence[Record]) -> pl.DataFrame:
    """Give what stands in records, a column each: texts as they are, as `finished` takes them."""
    own = [*_own_columns(records), *_attribute_columns(_each("attributes", records))]
    return pl.DataFrame(own).hstack(_resource_columns(_each("resource", records)))


def finished(raw: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, str]]:
    """Build the frame of `schema.DECODED` from the columns of `as_raw` and the `source` of each row.

    Gives the same as `build_frame`.
    """
    times = {name: times_of(raw.get_column(f"{name}_time")) for name in ("start", "end")}
    # One pass over all columns: each call into polars costs as much as decoding a hundred spans.
    frame = raw.with_columns(**times).select(_COLUMNS)
    no_id = ~frame.select(_HAS_IDS).to_series()
    no_time = frame["start"].is_null() | (frame["end"].is_null() & raw["end_time"].is_not_null())
    if not (no_id | no_time).any():
        return frame, {}
    wrong = dict.fromkeys(no_time.arg_true().to_list(), _NO_TIME) | dict.fromkeys(no_id.arg_true().to_list(), _NO_ID)
    return frame.filter(~(no_id | no_time)), dict(sorted(wrong.items()))


def as_recorded(rows: pl.DataFrame) -> pl.DataFrame:
    """Give rows of a finished table (`name`, `attributes`, `resource`) the values that their records told themselves.

    What they have from their surroundings goes: job, task, process. Rows that no OpenTelemetry SDK recorded stay as
    they are.
    """
    if rows.is_empty():
        return rows
    attributes, resource = (
        [msgspec.Raw((text or "{}").encode()) for text in rows.get_column(name)] for name in ("attributes", "resource")
    )
    told = pl.DataFrame([rows.get_column("name"), *_attribute_columns(attributes)]).hstack(
        _resource_columns(resource).drop("resource")
    )
    derived = _derived_columns()
    values = told.select(derived.get(name, pl.col(name)).alias(name) for name in _FILLED)
    is_recorded = pl.col("resource").str.contains(_RECORDED, literal=True)
    return rows.with_columns(
        pl.when(is_recorded).then(values.get_column(name)).otherwise(name).alias(name) for name in _FILLED
    )


def _own_columns(records: Sequence[Record]) -> list[pl.Series]:
    contexts = _each("context", records)
    statuses = [record.status or _NO_STATUS for record in records]
    return [
        *(_texts(name, contexts, name) for name in ("trace_id", "span_id")),
        *(_texts(name, records, name) for name in ("parent_id", "name", "kind", "start_time", "end_time")),
        _texts("status", statuses, "status_code"),
        _texts("status_message", statuses, "description"),
        *(_json(name, records) for name in ("attributes", "events", "links")),
    ]


def _each(field: str, items: Sequence[object]) -> list[Any]:
    return list(map(attrgetter(field), items))


def _texts(column: str, items: Sequence[object], field: str) -> pl.Series:
    return pl.Series(column, _each(field, items), dtype=pl.String)


def _json(name: str, records: Sequence[Record]) -> pl.Series:
    """Make a column of JSON texts in their one-line form; a JSON null counts as not there."""
    values = list(map(bytes, _each(name, records)))
    if values.count(values[0]) == len(values):  # events and links, mostly: there are none
        return _json_texts(name, values[:1]).new_from_index(0, len(values))
    return _json_texts(name, values)


def _json_texts(name: str, values: list[bytes]) -> pl.Series:
    if b"null" in values:
        values = [_EMPTY_JSON[name] if value == b"null" else value for value in values]
    column = pl.Series(name, values, dtype=pl.Binary).cast(pl.String)
    return on_one_line(column) if b"\n" in b"".join(values) else column  # a tenth of the time of looking into each


def on_one_line(texts: pl.Series) -> pl.Series:
    """Undo pretty-printing of JSON, as `record.one_line` does."""
    return texts.str.replace_all(r",\s*\n\s*", ", ").str.replace_all(r"\s*\n\s*", "")


def _attribute_columns(raws: Sequence[msgspec.Raw]) -> list[pl.Series]:
    attributes = attributes_of(raws)
    return [
        _column(column, _each(field, attributes), dtype)
        for field, (column, dtype) in zip(Attributes.__struct_fields__, ATTRIBUTE_SCHEMA.items(), strict=True)
    ]


def _column(name: str, values: list[Any], dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    return _lists(name, values) if dtype == pl.List(pl.String) else pl.Series(name, values, dtype=dtype)


def _lists(name: str, values: list[list[str] | None]) -> pl.Series:
    """Make a column of lists: their items as one text each, cut there, in a twentieth of polars' own time."""
    full = [value for value in values if value]
    texts = list(map(_BETWEEN.join, full))
    if _BETWEEN.join(texts).count(_BETWEEN) > max(sum(map(len, full)) - 1, 0):  # an item has it in itself
        return pl.Series(name, values, dtype=pl.List(pl.String))
    known = pl.Series(name, texts, dtype=pl.String).str.split(_BETWEEN)
    numbers = iter(range(1, len(full) + 1))
    rows = [next(numbers) if value else None if value is None else 0 for value in values]
    return pl.concat([pl.Series(name, [[]], dtype=known.dtype), known]).gather(pl.Series(rows, dtype=pl.UInt32))


def _resource_columns(raws: Sequence[msgspec.Raw]) -> pl.DataFrame:
    """Build them from the few distinct resources, then spread these over the rows."""
    numbers: dict[bytes, int] = {}
    rows: list[int] = []
    last: msgspec.Raw | None = None
    number = 0
    for raw in raws:
        if raw != last:  # comparing with the one before takes a fifth of the time of looking it up
            number = numbers.setdefault(bytes(raw), len(numbers))
            last = raw
        rows.append(number)
    resources = [resource_of(raw) for raw in numbers]
    distinct = pl.DataFrame(
        [
            pl.Series(column, _each(field, resources), dtype=dtype)
            for field, (column, dtype) in zip(Resource.__struct_fields__, _RESOURCE_SCHEMA.items(), strict=True)
        ]
    )
    return distinct[pl.Series(rows, dtype=pl.UInt32)]


def _derived_columns() -> dict[str, pl.Expr]:
    parent_id = _id("parent_id")
    return {
        "trace_id": _id("trace_id"),
        "span_id": _id("span_id"),
        "parent_id": pl.when(parent_id.str.strip_chars("0") != "").then(parent_id),
        "kind": _enum("kind", "SpanKind.", Kind, "INTERNAL"),
        "status": _enum("status", "StatusCode.", StatusType, "UNSET"),
        "job_id": pl.coalesce(_job("attribute_job_id"), _job("resource_job_id")),
        "node_id": pl.coalesce("attribute_node_id", "resource_node_id"),
        "worker_id": pl.coalesce("attribute_worker_id", "resource_worker_id"),
        "pid": pl.coalesce(pl.col("attribute_pid").cast(pl.Int64, strict=False), "resource_pid"),
        "function": pl.coalesce(_operator(), "function", _function_in_name(), serve_names.function_of(pl.col("name"))),
    }


def _id(column: str) -> pl.Expr:
    return pl.col(column).str.to_lowercase().str.strip_prefix("0x")


def _enum(column: str, prefix: str, dtype: pl.Enum, default: str) -> pl.Expr:
    """What OpenTelemetry takes where nothing is said stands for what is missing or unknown."""
    value = pl.col(column).str.strip_prefix(prefix).cast(dtype, strict=False)
    return value.fill_null(pl.lit(default, dtype=dtype))


def _job(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != _NO_JOB).then(pl.col(column))


def _operator() -> pl.Expr:
    """Ray Data runs all its operators as the same few functions; the task's name tells which it is."""
    return pl.when(pl.col("function").str.starts_with(OPERATOR_TASKS)).then(pl.col("task_name"))


def _function_in_name() -> pl.Expr:
    name = pl.col("name")
    submitted = name.str.strip_suffix(SUBMIT_SUFFIX)
    ran = name.str.strip_suffix(RUN_SUFFIX)
    return pl.when(name.str.ends_with(SUBMIT_SUFFIX)).then(submitted).when(name.str.ends_with(RUN_SUFFIX)).then(ran)


def _columns() -> Iterator[pl.Expr]:
    derived = _derived_columns()
    for name in DECODED:
        yield derived.get(name, pl.col(name)).alias(name)


_COLUMNS = list(_columns())
"""Built once: building them takes as long as decoding a small file."""
