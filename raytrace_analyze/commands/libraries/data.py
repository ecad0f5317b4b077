"""`data`: what the operators of Ray Data did, and which limits the rate."""

from typing import Annotated, Any

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result


def data(
    spans: options.Spans = None,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many executions to show.")] = 10,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show for each execution of a dataset of Ray Data what each operator did, and which limits the rate.

    Tasks, rows and bytes, busy time, how many tasks ran at a time, what they waited for, idle time, back-pressure by
    Ray Data's policies, the start of actors, and how much of the execution's time the critical path was in each.

    Examples:

      raytrace-analyze data /tmp/spans

      raytrace-analyze data --format csv
    """
    from raytrace_analyze.analyses.libraries.data.table import data as tell_operators
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.views.documents import records
    from raytrace_analyze.views.libraries.data_view import notes, show_data
    from raytrace_analyze.views.screen.console import output

    found, exit_code = open_spans(spans)
    trace = prepare(found.spans, clock_correct=clock_correct)
    result = tell_operators(trace)

    def document() -> dict[str, Any]:
        return {"operators": records(result), "notes": notes(result, trace.spans)}

    write_result(
        output_format,
        table=lambda: show_data(result, trace.spans, output(), top=top),
        document=document,
        frame=lambda: result,
        found=found,
    )
    raise typer.Exit(exit_code)
