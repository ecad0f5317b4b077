"""`stats`: latency per task."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result
from raytrace_analyze.vocabulary import LatencyGroup


def stats(
    spans: options.Spans = None,
    by: Annotated[
        LatencyGroup, typer.Option(help="What to sum by; name takes every span, the others task runs.")
    ] = LatencyGroup.FUNCTION,
    clock_correct: options.ClockCorrect = True,
    internals: Annotated[
        bool, typer.Option("--internals", help="Show each function of Ray's own controllers, proxies and statistics.")
    ] = False,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many groups to show in the table.")] = 20,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show how long tasks ran, waited to start, and took to submit.

    Count, errors, p50 to p99 and max per function, and each function's share of the critical path (of all jobs).
    What Ray's libraries run for themselves is one line, unless --internals.

    Examples:

      raytrace-analyze stats

      raytrace-analyze stats /tmp/spans --by node --format csv
    """
    from raytrace_analyze.analyses.latency import latency_stats
    from raytrace_analyze.views.console import output
    from raytrace_analyze.views.documents import records
    from raytrace_analyze.views.tables import show_stats

    found, exit_code = open_spans(spans, lean=True)
    result = latency_stats(found.spans, by, clock_correct=clock_correct, internals=internals)
    write_result(
        output_format,
        table=lambda: show_stats(result, by, output(), top=top),
        document=lambda: {"by": str(by), "stats": records(result)},
        frame=lambda: result,
        found=found,
    )
    raise typer.Exit(exit_code)
