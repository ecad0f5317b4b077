"""`export`: the spans in the format of another tool."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, writing
from raytrace_analyze.command_line.standard_input import DASH, DEFAULT_SPANS
from raytrace_analyze.errors import EXIT_OK, UsageError
from raytrace_analyze.vocabulary import Encoding

if TYPE_CHECKING:
    from raytrace_analyze.exports.base import OutputFormat, Rows


def export(
    to: Annotated[
        str,
        typer.Option("--to", metavar="FORMAT", help="perfetto, otlp, jaeger, folded, speedscope, graphml or dot."),
    ],
    spans: options.Spans = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write; - for standard output, .gz packs."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="URL", help="With --to otlp: send there instead of writing.")
    ] = None,
    encoding: Annotated[Encoding, typer.Option(help="How --endpoint sends.")] = Encoding.JSON,
    job: options.Job = None,
    trace: options.Trace = None,
    from_time: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Only what was there at this time (ISO 8601, UTC) or later."),
    ] = None,
    to_time: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only what was there before this time.")
    ] = None,
    min_duration: Annotated[
        float, typer.Option("--min-duration", metavar="MS", min=0, max=1e12, help="Only what took so long, or longer.")
    ] = 0.0,
    on_path: Annotated[bool, typer.Option("--on-path", help="Only what is on the critical path.")] = False,
    clock_correct: options.ClockCorrect = True,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE also where no export wrote it.")] = False,
) -> None:
    """Write spans for another tool.

    perfetto: ui.perfetto.dev. otlp: collectors and tracing backends. jaeger: upload in Jaeger's UI. folded, speedscope:
    flame graphs. graphml, dot: the span graph.

    Examples:

      raytrace-analyze export --to perfetto -o trace.json.gz

      raytrace-analyze export --to otlp --endpoint http://localhost:4318

      raytrace-analyze export /tmp/spans --to folded --on-path -o -
    """
    from raytrace_analyze.exports.formats import is_export, output_format
    from raytrace_analyze.exports.result_file import result_file
    from raytrace_analyze.exports.select import select
    from raytrace_analyze.exports.table_stream import TableStream
    from raytrace_analyze.files.output import check_output

    if (output is None) == (endpoint is None):
        raise UsageError("say where to: -o FILE (- for standard output), or with --to otlp --endpoint URL")
    if endpoint is not None and to != "otlp":
        raise UsageError("--endpoint goes with --to otlp; other formats are written with -o FILE")
    format_ = output_format(to)
    if output is not None and output != DASH:
        check_output(output, is_export, force=force)
    chosen: dict[str, Any] = {
        "job": job,
        "trace": trace,
        "from_ns": _read_time(from_time, "from"),
        "to_ns": _read_time(to_time, "until"),
        "min_duration_ns": round(min_duration * 1e6),
    }
    table = _streamable(spans, format_, on_path=on_path, clock_correct=clock_correct)
    exit_code = EXIT_OK
    if table is not None and format_.write_rows is not None:
        rows: Rows = TableStream(table, **chosen)
        inputs, write = {os.path.realpath(table)}, partial(format_.write_rows, rows)
    else:
        found, exit_code = open_spans(spans, job=job, trace=trace)
        selection = select(found.spans, **chosen, on_path=on_path, clock_correct=clock_correct)
        inputs, write = {os.path.realpath(file) for file in found.report.files}, partial(format_.write, selection)
        rows = selection
    if endpoint is not None:
        from raytrace_analyze.exports.otlp import send

        typer.echo(f"sent {send(rows, endpoint, encoding):,} spans to {endpoint}", err=True)
    elif output == DASH:
        with writing():
            write(sys.stdout.buffer)
    elif output is not None:
        check_output(output, lambda path: os.path.realpath(path) not in inputs and is_export(path), force=force)
        try:
            with result_file(output) as stream:
                write(stream)
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
    raise typer.Exit(exit_code)


def _streamable(
    spans: "Sequence[Path] | None", format_: "OutputFormat", *, on_path: bool, clock_correct: bool
) -> Path | None:
    """Give the table that can be written as it is read, which takes no more memory for more spans."""
    from raytrace_analyze.exports.table_stream import has_one_clock
    from raytrace_analyze.table.parquet_file import is_span_table

    paths = list(spans or [DEFAULT_SPANS])
    if format_.write_rows is None or on_path or len(paths) != 1 or not paths[0].is_file():
        return None
    is_one = is_span_table(paths[0]) and (not clock_correct or has_one_clock(paths[0]))
    return paths[0] if is_one else None


def _read_time(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--{option} takes a time such as 2026-11-23T19:16:29Z, not {text!r}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    return round(whole.timestamp()) * 10**9 + moment.microsecond * 1000
