"""The span table's file: written whole, and told from others."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from raytrace_analyze.decode.parquet import CANNOT_READ
from raytrace_analyze.files.opened import for_polars
from raytrace_analyze.files.output import whole_file
from raytrace_analyze.files.sealed import CHECKSUM_KEY, NOT_YET, seal
from raytrace_analyze.schema import EVENT_TABLE, SCHEMA_VERSION, TABLE, TABLE_KEY, VERSION_KEY, is_version

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
    """Write a table of ours that comes in parts (columns of `schema.TABLE`), `about` in its metadata.

    It appears whole or not at all (see `files.output.whole_file`). Raises OSError.
    """
    table = register_io_source(lambda *_: parts(), schema=TABLE)
    with whole_file(path, mode) as file:  # polars takes no path that is not UTF-8
        try:
            table.sink_parquet(
                file,
                compression="zstd",
                compression_level=_LEVEL,
                row_group_size=_ROW_GROUP,
                metadata={VERSION_KEY: str(SCHEMA_VERSION), CHECKSUM_KEY: NOT_YET, **(about or {})},
            )
            file.flush()
            seal(file)
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
