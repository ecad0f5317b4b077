"""`steps`: a program that repeats, step by step."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result
from raytrace_analyze.vocabulary.groups import StepGroup


def steps(
    spans: options.Spans = None,
    job: options.Job = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME|ID", help="A task whose loop it is: its function or id.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="FILE:LINE", help="The loop in which this call stands, or a part of that, as train.py:40."
        ),
    ] = None,
    by: Annotated[
        StepGroup, typer.Option(help="What csv has a line for: a step, a call in a step, or an actor.")
    ] = StepGroup.STEP,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many lines of each table to show.")] = 15,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show a loop step by step: what each step took, what decided it, which actor was slow.

    Steps are those that the program marks (with raytrace_hook.step(i):), else the rounds of the loop that it spent most
    time with, found by the call that comes back once a round. For reinforcement learning, training loops, pipelines.

    Examples:

      raytrace-analyze steps

      raytrace-analyze steps /tmp/spans --at train.py:40 --by call --format csv
    """
    from raytrace_analyze.analyses.libraries.steps.table import find_steps
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.views.documents import records
    from raytrace_analyze.views.libraries.steps_view import show_steps
    from raytrace_analyze.views.screen.console import output

    found, exit_code = open_spans(spans, job=job)
    result = find_steps(prepare(found.spans, clock_correct=clock_correct), job=job, task=task, at=at)
    frames = {StepGroup.STEP: result.steps, StepGroup.CALL: result.calls, StepGroup.ACTOR: result.actors}
    write_result(
        output_format,
        found=found,
        table=lambda: show_steps(result, output(), top=top),
        document=lambda: {
            "marked": result.is_marked,
            **{f"{group}s": records(frame) for group, frame in frames.items()},
        },
        frame=lambda: frames[by],
    )
    raise typer.Exit(exit_code)
