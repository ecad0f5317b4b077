"""`advise`: patterns that cost time, and what mending them would save."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result


def advise(
    spans: options.Spans = None,
    job: options.Job = None,
    at_least: Annotated[
        str, typer.Option(metavar="PERCENT", help="Leave out what would save less of the job's time than this.")
    ] = "2%",
    had_slots: options.HadSlots = None,
    source: options.Source = None,
    no_infer: options.NoInfer = False,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many findings to show.")] = 10,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Say what to change: patterns that cost time, what mending each would save, and the spans that show it.

    Savings are predicted as by what-if, each for one change alone, the largest first.

    Examples:

      raytrace-analyze advise

      raytrace-analyze advise /tmp/spans --at-least 10%

      raytrace-analyze advise --format json
    """
    from raytrace_analyze.verdict.remedies import advice_and_faster
    from raytrace_analyze.views.advice_view import advice_document, show_advice
    from raytrace_analyze.views.screen.console import output

    least = float(options.read_percent(at_least, "at-least"))
    found, exit_code = open_spans(spans, job=job, lean=True)
    advice, faster = advice_and_faster(
        found.spans,
        job,
        at_least=least,
        infer=not no_infer,
        had_slots=had_slots,
        clock_correct=clock_correct,
        source=source or (),
    )
    write_result(
        output_format,
        table=lambda: show_advice(advice, faster, output(), top=top),
        document=lambda: advice_document(advice, faster),
        frame=lambda: advice.findings.drop("span_ids"),
        found=found,
    )
    raise typer.Exit(exit_code)
