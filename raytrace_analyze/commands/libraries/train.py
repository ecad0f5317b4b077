"""`train`: what Ray Train did, in its own terms."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.commands.libraries.by_group import tell_by_group
from raytrace_analyze.vocabulary.groups import TrainGroup
from raytrace_analyze.vocabulary.spans import Library


def train(
    spans: options.Spans = None,
    by: Annotated[TrainGroup, typer.Option(help="What csv has a line for: a step, or a rank.")] = TrainGroup.STEP,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many lines of each table to show.")] = 20,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show a training of Ray Train step by step: which rank came last, how long the others waited, and why.

    A step ends where the ranks meet, at ray.train.report. Of the rank that came last: its own work, waits for data,
    storing a checkpoint, and the time in report until Train had taken it. Then rank by rank the sums.

    Examples:

      raytrace-analyze train

      raytrace-analyze train /tmp/spans --by rank --format csv
    """
    from raytrace_analyze.analyses.libraries.train.table import train as tell
    from raytrace_analyze.views.libraries.train_view import show_train
    from raytrace_analyze.views.screen.console import output

    tell_by_group(
        spans,
        tell,
        lambda steps, ranks: show_train(steps, ranks, output(), top=top),
        {TrainGroup.STEP: "steps", TrainGroup.RANK: "ranks"},
        by=by,
        clock_correct=clock_correct,
        output_format=output_format,
        library=Library.TRAIN,
    )
