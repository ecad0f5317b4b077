"""Adds to a span table what its inputs have got since: only files that are new, or have changed, are read."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.decode import find_span_files
from raytrace_analyze.decode.parquet import CANNOT_READ
from raytrace_analyze.decode.parquet import FORMAT as SPAN_TABLE
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.opened import for_polars, readable
from raytrace_analyze.model import InputFile
from raytrace_analyze.schema import INPUTS_KEY

Known = dict[str, list[int]]
"""By path: a file's size (bytes) and when it was last written to (ns), as they were before it was read."""


def about_inputs(files: Iterable[InputFile], known: Known | None = None) -> dict[str, str]:
    """Give what a table's metadata says of the files that it was made of, for `write_table`: these, those `known`."""
    stamps = (known or {}) | {_name(file): _stamp(file) for file in files if file.format != SPAN_TABLE.name}
    return {INPUTS_KEY: json.dumps(stamps)}


def known_inputs(table: Path) -> Known:
    """Tell which files a table was made of. Raises UsageError where it does not say."""
    try:
        told = json.loads(pl.read_parquet_metadata(for_polars(table))[INPUTS_KEY])
    except (*CANNOT_READ, KeyError, ValueError) as error:
        raise UsageError(
            f"{readable(table)} does not say which files it was made of; merge once without --append"
        ) from error
    return {str(name): list(stamp) for name, stamp in told.items()} if isinstance(told, dict) else {}


def new_inputs(table: Path, paths: Sequence[Path], known: Known) -> list[Path]:
    """Find among `paths` the files that are new or have changed since a table was made; with the table before them.

    What merging these gives is what merging all of the files at once gives. Nothing is new where the list is empty.
    """
    found = find_span_files(paths).files
    new = [
        file for file in found if file.path.absolute() != table.absolute() and known.get(_name(file)) != _stamp(file)
    ]
    return [table, *dict.fromkeys(file.archive or file.path for file in new)] if new else []


def _name(file: InputFile) -> str:
    return readable(file.path.absolute())


def _stamp(file: InputFile) -> list[int]:
    if file.archive is not None:
        return [file.size_bytes, os.stat(file.archive).st_mtime_ns]  # noqa: PTH116 - that of Path may raise for odd names
    return [file.size_bytes, file.modified_ns]
