"""Results for programs: one JSON object, or CSV with one header line."""

import codecs
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, TextIO

import msgspec
import polars as pl

from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.text.printable import ascii_json, printable_json
from raytrace_analyze.values import frozen
from raytrace_analyze.views.many_rows import csv_line, csv_rows, json_rows, stretches

DOCUMENT_VERSION = 1
"""Of the JSON documents; the table's is `schema.SCHEMA_VERSION`."""


@frozen
class Records:
    """The records of a result that may be large: they become text some at a time, as they are written."""

    frame: pl.DataFrame


def write_json(content: dict[str, Any], stream: TextIO) -> None:
    """Write a document as one JSON object, `schema_version` first; `Records` may stand in it itself.

    What would act on a terminal is escaped, so that the text can be looked at and a parser gets the original; so is
    what is not ASCII where the stream is not written in UTF-8.
    """
    escaped = printable_json if is_in_utf_8(stream) else ascii_json
    before = "{"
    for name, value in {"schema_version": DOCUMENT_VERSION, **content}.items():
        stream.write(before)
        stream.writelines(_json_member(name, value, escaped))
        before = ","
    stream.write("\n}\n")


def _json_member(name: str, value: Any, escaped: Callable[[str], str]) -> Iterator[str]:
    """Give a member of the document's object with the line break before it, in pieces."""
    if not isinstance(value, Records) or value.frame.is_empty():
        content = {name: [] if isinstance(value, Records) else value}
        text = escaped(json.dumps(content, ensure_ascii=False, allow_nan=False))
        try:
            text = _indented(text)
        except msgspec.DecodeError:  # a file's name that is in no encoding has what is no text
            text = escaped(json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1))
        yield text.removeprefix("{").removesuffix("\n}")
        return
    before = f"\n {json.dumps(name)}: ["
    for some in stretches(_plain(value.frame)):
        rows = _indented(f"[{escaped(json_rows(some))}]")  # as deep as the member's
        yield before + rows.removeprefix("[\n [").removesuffix("\n ]\n]")
        before = ","
    yield "\n ]"


def _indented(text: str) -> str:
    return msgspec.json.format(text, indent=1)


def write_csv(frame: pl.DataFrame, stream: TextIO) -> None:
    """Write a DataFrame as CSV with one header line; times as in `records`, null as nothing.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, and what would act on a terminal
    becomes U+FFFD; JSON keeps both as they were. It is in UTF-8, whatever the terminal is in.
    """
    if isinstance(stream, io.TextIOWrapper) and not is_in_utf_8(stream):
        stream.reconfigure(encoding="utf-8")  # a name that is spelled in another way is another name
    plain = _plain(frame)
    stream.write(csv_line(plain.columns))
    stream.writelines(csv_rows(some) for some in stretches(plain))


def is_in_utf_8(stream: TextIO) -> bool:
    """Tell whether all text can be written to a stream."""
    encoding = getattr(stream, "encoding", None)  # a string buffer has None
    return encoding is None or codecs.lookup(encoding).name.startswith("utf")


def records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Give the rows as JSON-ready records: a time `x` becomes `x` (ISO 8601, nine digits) and `x_ns`."""
    return _plain(frame).to_dicts()


def path_scope(path: CriticalPath) -> dict[str, Any]:
    """Give what a path is of."""
    scope = path.scope
    return {"kind": scope.kind, "id": scope.id, "name": scope.name, "session": scope.session}


def path_document(path: CriticalPath, by: str) -> dict[str, Any]:
    """Give the document of a critical path; `by` names a grouping to add to that by function."""
    groups = {f"by_{group}": records(path.by(group)) for group in dict.fromkeys(("function", by))}
    return {
        "scope": path_scope(path),
        "start_ns": path.start_ns,
        "end_ns": path.end_ns,
        "makespan_ns": path.makespan_ns,
        "work_ns": path.work_ns,
        "parallelism": round(path.parallelism, 6),
        "task_runs": path.runs,
        "ended": asdict(path.ended),
        "inferred_ns": int(path.segments.filter(pl.col("inferred")).get_column("duration_ns").sum()),
        "notes": list(path.notes),
        "activity": records(path.activity()),
        "segments": Records(path.segments),
        **groups,
    }


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    columns: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Datetime):
            columns.append(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ"))
            columns.append(pl.col(name).dt.epoch("ns").alias(f"{name}_ns"))
        elif isinstance(dtype, pl.Enum):
            columns.append(pl.col(name).cast(pl.String))
        else:
            columns.append(pl.col(name))
    return frame.select(columns)
