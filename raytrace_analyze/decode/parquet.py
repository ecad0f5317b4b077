"""Span tables that `merge` wrote: merging merges."""

import io
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from raytrace_analyze.decode.column_types import check_times, check_types
from raytrace_analyze.decode.input_format import InputFormat
from raytrace_analyze.decode.records.columns import as_recorded, empty_frame
from raytrace_analyze.decode.records.record import resource_of
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.opened import for_polars, readable, whole_content
from raytrace_analyze.files.sealed import is_as_written
from raytrace_analyze.files.streams import packed_as
from raytrace_analyze.model import Compression, Decoded, Head, InputFile, Problem, ProblemKind
from raytrace_analyze.schema import (
    DECODED,
    EVENT_COLUMNS,
    EVENT_TABLE,
    FROM_EVENTS,
    INPUTS_KEY,
    SCHEMA_VERSION,
    TABLE,
    TABLE_KEY,
    VERSION_KEY,
    is_version,
)

_ROWS = 1 << 17
"""How many spans are read at a time: some 100 MB."""

CANNOT_READ = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What reading a damaged Parquet file may raise."""

NOT_AS_WRITTEN = "its content is not what was written"

_NEEDED = ("trace_id", "span_id", "name", "kind", "start", "status")
"""The columns that every version has, without nulls."""

_LONGEST_NUMBER = 9

_RESOURCE_VALUES = {"resource": pl.String, "session": pl.String, "instance_id": pl.String}


def decode_parquet(file: InputFile) -> Iterator[Decoded]:
    """Give the rows of a span table as a decoder of raw files would have given them.

    The session is what the record itself says, null otherwise, as sessions are told apart anew among all
    input. `source` stays the file that the span first came from. A file that is damaged becomes a problem.
    So does one that was written by a newer version or is no span table, if it was come across in a folder;
    one that was given raises UsageError.
    """
    path = readable(file.path)
    try:
        source = whole_content(file.path)
        check_version(source, path)  # every version up to ours has a subset of our columns
        table = pl.scan_parquet(source, glob=False)
        is_merged = INPUTS_KEY in pl.read_parquet_metadata(source)
        check_types(table.head(0).collect(), TABLE, path)
        height = table.select(pl.len()).collect().item()
        for start in range(0, height, _ROWS):
            rows = _only_spans(_open_again(table, is_merged).slice(start, _ROWS)).collect()
            yield Decoded(as_recorded(_as_decoded(rows, path)) if is_merged else _as_decoded(rows, path))
        if not height:
            check_columns(table.collect(), _NEEDED, path)
    except CANNOT_READ as error:
        yield Decoded(empty_frame(), (Problem(ProblemKind.UNREADABLE, path, None, first_line(error)),))
    except UsageError as error:
        if file.is_given:
            raise
        detail = str(error).removeprefix(f"{path} ")
        yield Decoded(empty_frame(), (Problem(ProblemKind.UNREADABLE, path, None, detail),))


def _open_again(table: pl.LazyFrame, is_merged: bool) -> pl.LazyFrame:
    """Take back the ends that `merge` had from task events: they are told anew, and the record may be there by now."""
    if not is_merged:
        return table
    closed = (pl.col("kind") == "CONSUMER") & (pl.col("end") == pl.coalesce("state_failed", "state_finished"))
    nothing = {"end": None, "status": "UNSET", "status_message": None}
    return table.with_columns(
        pl.when(closed).then(pl.lit(value)).otherwise(name).cast(TABLE[name]).alias(name)
        for name, value in nothing.items()
    )


def _only_spans(table: pl.LazyFrame) -> pl.LazyFrame:
    """Leave out the attempts that only task events know, and the columns of those: they are read as task events."""
    columns = table.collect_schema().names()
    if FROM_EVENTS in columns:
        table = table.filter(~pl.col(FROM_EVENTS).fill_null(False))
    return table.select(name for name in columns if name not in EVENT_COLUMNS)


def first_line(error: BaseException) -> str:
    """Give the part of a library's message that is for a user."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def check_version(source: str | bytes, path: str) -> None:
    """Raise UsageError if a Parquet file is none that we wrote, or one that a newer version wrote.

    `source` is what to read it by, `path` what to call it. Raises OSError where its content is not what was written.
    """
    metadata = pl.read_parquet_metadata(source)
    text = metadata.get(VERSION_KEY, "")
    if not is_version(text):
        raise UsageError(f"{path} is a Parquet file, but none that `raytrace-analyze merge` wrote")
    if len(text) > _LONGEST_NUMBER or int(text) > SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema version {text:.20}, and this raytrace-analyze knows up to {SCHEMA_VERSION}: "
            "upgrade raytrace-analyze, or merge the span files anew"
        )
    if isinstance(source, bytes) and not is_as_written(io.BytesIO(source), metadata):
        raise OSError(NOT_AS_WRITTEN)


def check_columns(rows: pl.DataFrame, needed: Sequence[str], path: str) -> None:
    """Raise UsageError if one of these columns is not there, or has nulls in it."""
    missing = [name for name in needed if name not in rows.columns]
    if missing:
        raise UsageError(
            f"{path} lacks the column {missing[0]} that every table of ours has; merge the span files anew"
        )
    nulls = [name for name in needed if rows.get_column(name).null_count()]
    if nulls:
        raise UsageError(f"{path} has rows whose {nulls[0]} is null or of another type; merge the span files anew")


def conform(rows: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Give the rows in these columns and types; a column that an older version did not write is null."""
    types = rows.schema

    def column(name: str, dtype: pl.DataType) -> pl.Expr:
        if name not in types:
            return pl.lit(None, dtype).alias(name)
        # To the type that it has already a cast copies the column.
        return pl.col(name) if types[name] == dtype else pl.col(name).cast(dtype, strict=False)

    return rows.select(column(name, dtype) for name, dtype in columns.items())


def _as_decoded(rows: pl.DataFrame, path: str) -> pl.DataFrame:
    check_columns(rows, _NEEDED, path)
    own = {name: dtype for name, dtype in DECODED.items() if name not in ("session", "instance_id")}
    known = conform(rows, own)
    check_times(known, path)
    check_columns(known, _NEEDED, path)  # a value of another type has become null
    resources = [text for text in known["resource"].unique(maintain_order=True) if text is not None]
    values = [(text, found.session, found.instance_id) for text in resources if (found := resource_of(text.encode()))]
    spread = pl.DataFrame(values, schema=_RESOURCE_VALUES, orient="row")
    return known.join(spread, on="resource", how="left", maintain_order="left").select(DECODED.names())


def _is_span_table(head: Head) -> bool:
    """Tell whether `merge` wrote it; raises UsageError for a given Parquet file that nobody can use here."""
    metadata = _metadata(head)
    if metadata is None:
        return False
    is_ours = is_version(metadata.get(VERSION_KEY, ""))
    if head.is_given and not is_ours:
        raise UsageError(f"{readable(head.path)} is a Parquet file, but none that `raytrace-analyze merge` wrote")
    return is_ours and metadata.get(TABLE_KEY) != EVENT_TABLE


def _is_event_table(head: Head) -> bool:
    metadata = _metadata(head)
    return metadata is not None and is_version(metadata.get(VERSION_KEY, "")) and metadata.get(TABLE_KEY) == EVENT_TABLE


def _metadata(head: Head) -> dict[str, str] | None:
    if not head.content.startswith(b"PAR1"):
        return None
    try:
        return pl.read_parquet_metadata(for_polars(head.path))
    except CANNOT_READ as error:
        if not head.is_given:
            return None
        if (packed := packed_as(head.path)) is not Compression.NONE:
            raise UsageError(
                f"{readable(head.path)} is a Parquet file that was packed with {packed}, and packed inside anyway: "
                "unpack it first"
            ) from error
        raise UsageError(f"{readable(head.path)} is a damaged Parquet file: it has no readable footer") from error


FORMAT = InputFormat("span table", _is_span_table, decode=decode_parquet)

EVENT_TABLE_FORMAT = InputFormat("task event table", _is_event_table)
"""The Parquet file of task events that `merge` writes beside the span table."""
