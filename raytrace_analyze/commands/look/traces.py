"""`traces`: the traces in the spans."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result


def traces(
    spans: options.Spans = None,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many traces to show in the table.")] = 20,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """List the traces, the longest first.

    Examples:

      raytrace-analyze traces

      raytrace-analyze traces /tmp/spans --top 50
    """
    from raytrace_analyze.analyses.inventory import traces as list_traces
    from raytrace_analyze.views.documents import Records
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.tables import show_traces

    found, exit_code = open_spans(spans, lean=True)
    listed = list_traces(found.spans, clock_correct=clock_correct)
    write_result(
        output_format,
        table=lambda: show_traces(listed, output(), top=top),
        document=lambda: {"traces": Records(listed)},
        frame=lambda: listed,
        found=found,
    )
    raise typer.Exit(exit_code)
