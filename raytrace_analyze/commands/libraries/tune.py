"""`tune`: what Ray Tune did, in its own terms."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.commands.libraries.by_group import tell_by_group
from raytrace_analyze.vocabulary.groups import TuneGroup
from raytrace_analyze.vocabulary.spans import Library


def tune(
    spans: options.Spans = None,
    by: Annotated[
        TuneGroup, typer.Option(help="What csv has a line for: a trial, or what the controller does.")
    ] = TuneGroup.TRIAL,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many lines of each table to show.")] = 20,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show a run of Ray Tune trial by trial: how long each waited for its process, ran, and took for a result.

    And what Tune's controller in the driver spent its time with: asking the search algorithm, the scheduler, waiting.

    Examples:

      raytrace-analyze tune

      raytrace-analyze tune /tmp/spans --by driver --format csv
    """
    from raytrace_analyze.analyses.libraries.tune.table import tune as tell
    from raytrace_analyze.views.libraries.tune_view import show_tune
    from raytrace_analyze.views.screen.console import output

    tell_by_group(
        spans,
        tell,
        lambda trials, driver: show_tune(trials, driver, output(), top=top),
        {TuneGroup.TRIAL: "trials", TuneGroup.DRIVER: "driver"},
        by=by,
        clock_correct=clock_correct,
        output_format=output_format,
        library=Library.TUNE,
    )
