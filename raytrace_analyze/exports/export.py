"""The library's `export`: a selection of spans in an output format, to a file or a stream."""

from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from raytrace_analyze.exports.formats import output_format
from raytrace_analyze.exports.selected.select import select
from raytrace_analyze.prepared import Trace


def export(
    spans: Trace,
    to: str,
    output: str | PathLike[str] | BinaryIO,
    **filters: Any,
) -> None:
    """Write spans (columns of `schema.TABLE`, or a prepared trace) for another tool.

    `to` is `perfetto`, `otlp`, `jaeger`, `folded`, `speedscope`, `graphml` or `dot`; `output` a path (packed where its
    name ends in `.gz`) or a binary stream. Filters: `job`, `trace`, `from_ns`, `to_ns` (ns since the epoch),
    `min_duration_ns`, `on_path` (only what is on the critical path), `clock_correct` (as in `critical_path`).

    Raises UsageError for an unknown format or scope, NoSpansError where the filters leave nothing, OSError where the
    file cannot be written; a file that was there then stays as it was.
    """
    format_ = output_format(to)
    selection = select(spans, **filters)
    if isinstance(output, str | PathLike):
        from raytrace_analyze.exports.result_file import result_file

        with result_file(Path(output)) as stream:
            format_.write(selection, stream)
    else:
        format_.write(selection, output)
