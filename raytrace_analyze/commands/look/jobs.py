"""`jobs`: the jobs in the spans."""

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result


def jobs(
    spans: options.Spans = None,
    clock_correct: options.ClockCorrect = True,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """List the jobs: session, program, start, how long each took, what is in it.

    Examples:

      raytrace-analyze jobs /tmp/spans

      raytrace-analyze jobs --format csv
    """
    from raytrace_analyze.analyses.inventory import jobs as list_jobs
    from raytrace_analyze.views.documents import records
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.tables import show_jobs

    found, exit_code = open_spans(spans, lean=True)
    listed = list_jobs(found.spans, clock_correct=clock_correct)
    write_result(
        output_format,
        table=lambda: show_jobs(listed, output()),
        document=lambda: {"jobs": records(listed)},
        frame=lambda: listed,
        found=found,
    )
    raise typer.Exit(exit_code)
