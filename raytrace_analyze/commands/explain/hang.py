"""`hang`: who waits for whom in what had not ended."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result


def hang(
    spans: options.Spans = None,
    job: options.Job = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many waits to show.")] = 15,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Say who waited for whom when the record ends: of a job that hangs, was killed, or still runs.

    Names the circle of those that wait for each other, or the one that everybody waits for.

    Examples:

      raytrace-analyze hang /tmp/spans

      raytrace-analyze hang --format json
    """
    from raytrace_analyze.analyses.stuck.hang import hang as find_hang
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.stuck.hang_view import hang_document, show_hang

    found, exit_code = open_spans(spans, job=job)
    result = find_hang(found.spans, job)
    write_result(
        output_format,
        table=lambda: show_hang(result, output(), top=top),
        document=lambda: hang_document(result),
        frame=lambda: result.waits,
        found=found,
    )
    raise typer.Exit(exit_code)
