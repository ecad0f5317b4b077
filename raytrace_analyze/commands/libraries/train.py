"""`train`: what Ray Train did, in its own terms."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result
from raytrace_analyze.vocabulary import TrainGroup


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
    from raytrace_analyze.analyses.libraries.train import train as tell
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.views.console import output
    from raytrace_analyze.views.documents import records
    from raytrace_analyze.views.libraries.train_view import show_train

    found, exit_code = open_spans(spans)
    trace = prepare(found.spans, clock_correct=clock_correct)
    frames = {group: tell(trace, group) for group in TrainGroup}
    write_result(
        output_format,
        found=found,
        table=lambda: show_train(frames[TrainGroup.STEP], frames[TrainGroup.RANK], output(), top=top),
        document=lambda: {f"{group}s": records(frame) for group, frame in frames.items()},
        frame=lambda: frames[by],
    )
    raise typer.Exit(exit_code)
