"""`export`: the spans in the format of another tool."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.memory import allowed_bytes
from raytrace_analyze.command_line.reading import (
    check_not_a_terminal,
    exit_code_of,
    given_paths,
    one_table,
    open_spans,
    writing,
)
from raytrace_analyze.command_line.standard_input import DASH
from raytrace_analyze.errors import UsageError
from raytrace_analyze.vocabulary.options import Encoding

if TYPE_CHECKING:
    from raytrace_analyze.exports.output_format import OutputFormat
    from raytrace_analyze.exports.selected.selection import Selection
    from raytrace_analyze.exports.selected.table_stream import Filters
    from raytrace_analyze.ingest.large_tables import Apart


def export(
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORMAT", help="perfetto, pftrace, otlp, jaeger, folded, speedscope, graphml or dot."
        ),
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
    force: Annotated[
        bool, typer.Option("--force", help="Replace FILE also where no export to this format wrote it.")
    ] = False,
) -> None:
    """Write spans for another tool.

    perfetto, pftrace: ui.perfetto.dev, as JSON and in half the size. otlp: collectors and tracing backends. jaeger:
    upload in Jaeger's UI. folded, speedscope: flame graphs. graphml, dot: the span graph.

    Examples:

      raytrace-analyze export --to perfetto -o trace.json.gz

      raytrace-analyze export --to otlp --endpoint http://localhost:4318

      raytrace-analyze export /tmp/spans --to folded --on-path -o -
    """
    from raytrace_analyze.exports.formats import is_export, output_format
    from raytrace_analyze.exports.result_file import result_file
    from raytrace_analyze.exports.selected.select import select
    from raytrace_analyze.exports.selected.table_stream import Filters
    from raytrace_analyze.files.output import check_output
    from raytrace_analyze.views.screen.console import messages
    from raytrace_analyze.views.screen.progress import end_work, progress_shown

    if (output is None) == (endpoint is None):
        raise UsageError("say where to: -o FILE (- for standard output), or with --to otlp --endpoint URL")
    if endpoint is not None and to != "otlp":
        raise UsageError("--endpoint goes with --to otlp; other formats are written with -o FILE")
    format_ = output_format(to)
    if output == DASH and not format_.is_text:
        check_not_a_terminal(sys.stdout, to)
    if output is not None and output != DASH:
        check_output(output, lambda path: is_export(path, format_), force=force)
    filters = Filters(
        job=job,
        trace=trace,
        from_ns=_read_time(from_time, "from"),
        to_ns=_read_time(to_time, "until"),
        min_duration_ns=round(min_duration * 1e6),
        on_path=on_path,
    )
    streamed = _streamed(spans, filters, format_, clock_correct=clock_correct)
    if streamed is not None:
        selection, exit_code = streamed
        inputs = {os.path.realpath(path) for path in given_paths(spans)}
    else:
        found, exit_code = open_spans(spans, job=job, trace=trace)
        selection = select(found.spans, **asdict(filters), clock_correct=clock_correct)
        inputs = {os.path.realpath(file) for file in found.report.files}
    if endpoint is not None:
        from raytrace_analyze.exports.sending.otlp_http import send

        end_work()
        with progress_shown("sending") as progress:
            sent = send(selection.telling(progress, format_.times), endpoint, encoding)
        messages().print(f"sent {sent:,} spans to {endpoint}", soft_wrap=True)
    elif output == DASH:
        with writing(), ExitStack() as while_written:
            if not sys.stdout.isatty():  # else a bar would stand among what is written
                progress = while_written.enter_context(progress_shown("writing"))
                selection = selection.telling(progress, format_.times)
            format_.write(selection, sys.stdout.buffer)
    elif output is not None:
        check_output(
            output, lambda path: os.path.realpath(path) not in inputs and is_export(path, format_), force=force
        )
        try:
            end_work()
            with result_file(output) as stream, progress_shown("writing") as progress:
                format_.write(selection.telling(progress, format_.times), stream)
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
    raise typer.Exit(exit_code)


def _streamed(
    spans: "Sequence[Path] | None", filters: "Filters", format_: "OutputFormat", *, clock_correct: bool
) -> "tuple[Selection, int] | None":
    """Select from a large table, read while it is written, with the exit code; None for what has to be whole."""
    from raytrace_analyze.exports.selected.table_stream import is_large, report_on, select_from_file
    from raytrace_analyze.views.screen.console import messages
    from raytrace_analyze.views.screen.progress import end_work

    found = one_table(spans)
    if found is None or not is_large(found):
        return None

    def tell(left_out: "Apart", is_of_path: bool) -> None:
        what = "the critical path is left out, and clocks are" if is_of_path else "clocks are"
        end_work()
        messages().print(
            f"{left_out.rows:,} spans of {', '.join(left_out.sessions)} take more memory than a command may "
            f"(--max-memory) to be looked at as a whole: {what} not corrected",
            soft_wrap=True,
        )

    selection = select_from_file(
        found,
        filters,
        shows_path=format_.shows_path,
        clock_correct=clock_correct,
        most_bytes=allowed_bytes(),
        left_out=tell,
    )
    return selection, exit_code_of(report_on(found).problems)


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
