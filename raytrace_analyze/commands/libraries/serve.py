"""`serve`: where the time of Ray Serve's requests goes."""

from typing import Annotated, Any

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result


def serve(
    spans: options.Spans = None,
    tail: Annotated[
        str | None,
        typer.Option(metavar="PERCENTILE", help="Compare the slowest requests with the rest, p99 for the last 1 %."),
    ] = None,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many rows to show.")] = 20,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show for each deployment and route of Ray Serve where the time of its requests goes.

    At the proxy, in the router's queue until a replica takes the request, on the way there, in the handler, downstream
    in other deployments, on the way back. Needs the spans of Serve's own tracing, which the hook switches on.

    Examples:

      raytrace-analyze serve /tmp/spans

      raytrace-analyze serve --tail p99 --format json
    """
    from raytrace_analyze.analyses.libraries.serve.table import serve as tell_requests
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.views.documents import records
    from raytrace_analyze.views.libraries.serve_view import notes, show_serve
    from raytrace_analyze.views.screen.console import output

    found, exit_code = open_spans(spans)
    trace = prepare(found.spans, clock_correct=clock_correct)
    result = tell_requests(trace, tail=tail)

    def document() -> dict[str, Any]:
        return {"tail": tail, "deployments": records(result), "notes": notes(result, trace.spans)}

    write_result(
        output_format,
        table=lambda: show_serve(result, trace.spans, output(), top=top),
        document=document,
        frame=lambda: result,
        found=found,
    )
    raise typer.Exit(exit_code)
