"""The span table's file: written whole, and told from others."""

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from raytrace_analyze.decode.parquet import CANNOT_READ
from raytrace_analyze.files.opened import for_polars, open_regular
from raytrace_analyze.files.output import whole_file
from raytrace_analyze.files.sealed import NOT_YET, is_as_written, is_of, seal
from raytrace_analyze.names.path_attributes import ASKED_HERE
from raytrace_analyze.schema import (
    EVENT_TABLE,
    FILE,
    PATHS_KEY,
    SCHEMA_VERSION,
    TABLE,
    TABLE_KEY,
    TIMES_KEY,
    VERSION_KEY,
    is_version,
)
from raytrace_analyze.table.runs.run_columns import RunColumns
from raytrace_analyze.vocabulary.spans import Times

_LEVEL = 1
"""Of zstd: level 3 takes a quarter more time for one part in a hundred of the size."""

_ROW_GROUP = 1 << 16
"""Rows that are skipped together by the statistics of a Parquet file's columns."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def write_parquet(
    parts: Callable[[], Iterator[pl.DataFrame]],
    path: Path,
    mode: int | None = None,
    about: Mapping[str, str] | None = None,
) -> None:
    """Write a table of ours that comes in parts (columns of `schema.TABLE`, whole traces), `about` in its metadata.

    The file has the columns of `schema.FILE`. It appears whole or not at all (see `files.output.whole_file`). Raises
    OSError.
    """
    runs = RunColumns()
    table = register_io_source(lambda *_: (piece for part in parts() for piece in runs.added(part)), schema=FILE)
    with whole_file(path, mode) as file:  # polars takes no path that is not UTF-8
        try:
            table.sink_parquet(
                file,
                compression="zstd",
                compression_level=_LEVEL,
                row_group_size=_ROW_GROUP,
                metadata={
                    VERSION_KEY: str(SCHEMA_VERSION),
                    **NOT_YET,
                    **{TIMES_KEY: Times.UNKNOWN, PATHS_KEY: ASKED_HERE},
                    **(about or {}),
                },
            )
            file.flush()
            seal(file, {TIMES_KEY: runs.times})
        except pl.exceptions.ComputeError as error:  # how polars tells of a full disk, not always with the reason
            found = _OS_ERROR.search(str(error))
            if not found:
                os.write(file.fileno(), b"\0")  # the file itself tells it
            number = int(found[1]) if found else 0
            raise OSError(number, os.strerror(number) if number else str(error)) from error


def is_span_table(path: Path) -> bool:
    """Tell whether a file is a span table that a `merge` wrote, of whatever version."""
    try:
        metadata = pl.read_parquet_metadata(for_polars(path))
    except CANNOT_READ:
        return False
    return is_version(metadata.get(VERSION_KEY, "")) and metadata.get(TABLE_KEY) != EVENT_TABLE


def scan_table(source: str | bytes | Path, columns: pl.Schema = TABLE) -> pl.LazyFrame | None:
    """Give these columns of a table's file, to be read in part; None where it has not all of them, as they should be.

    Raises what `decode.parquet.CANNOT_READ` names.
    """
    table = pl.scan_parquet(source, glob=False)
    found = table.collect_schema()
    is_there = all(found.get(name) == dtype for name, dtype in columns.items())
    return table.select(columns.names()) if is_there else None


def times_in(source: str | bytes | Path) -> Times:
    """Tell what the columns of `schema.FILE` are good for that a table's file has and the table has not.

    Raises what `decode.parquet.CANNOT_READ` names.
    """
    told = _own_metadata(source).get(TIMES_KEY, "")
    return Times(told) if told in list(Times) else Times.UNKNOWN


def has_path_columns(source: str | bytes | Path) -> bool:
    """Tell whether `parent_place` and `path_attributes` of a table's file are what this version takes them for.

    Raises what `decode.parquet.CANNOT_READ` names.
    """
    return _own_metadata(source).get(PATHS_KEY) == ASKED_HERE


def is_unchanged(source: str | bytes | Path) -> bool:
    """Tell whether the data of a table's file are what was written, as far as that is known: this reads all of it.

    Raises what `decode.parquet.CANNOT_READ` names.
    """
    with _opened(source) as file:
        return is_as_written(file, pl.read_parquet_metadata(file))


def _own_metadata(source: str | bytes | Path) -> dict[str, str]:
    """Read a file's metadata; none if they came from another file."""
    with _opened(source) as file:
        metadata = pl.read_parquet_metadata(file)
        return metadata if is_of(metadata, file) else {}


def _opened(source: str | bytes | Path) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else os.fdopen(open_regular(source), "rb")
