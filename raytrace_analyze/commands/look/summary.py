"""`summary`: the whole answer in at most ten lines."""

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result


def summary(
    spans: options.Spans = None,
    job: options.Job = None,
    had_slots: options.HadSlots = None,
    source: options.Source = None,
    no_infer: options.NoInfer = False,
    clock_correct: options.ClockCorrect = True,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Say all that matters about a job in at most ten lines.

    How long it took, whether it failed, where the time went, the one or two things to change and what each would
    bring, what only a first run pays, and how sure that is. critical-path, advise and what-if tell the same at length.

    Examples:

      raytrace-analyze summary

      raytrace-analyze summary /tmp/spans --format json
    """
    from raytrace_analyze.verdict.summary import summary as sum_up
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.summary_view import show_summary, summary_document, summary_frame

    found, exit_code = open_spans(spans, job=job, lean=True)
    result = sum_up(
        found.spans,
        job,
        infer=not no_infer,
        had_slots=had_slots,
        clock_correct=clock_correct,
        source=source or (),
    )
    write_result(
        output_format,
        table=lambda: show_summary(result, output()),
        document=lambda: summary_document(result),
        frame=lambda: summary_frame(result),
        found=found,
    )
    raise typer.Exit(exit_code)
