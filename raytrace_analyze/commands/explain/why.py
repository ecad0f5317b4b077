"""`why`: the story of one task."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import completion, options
from raytrace_analyze.command_line.hints import check_order
from raytrace_analyze.command_line.reading import open_spans, write_result


def why(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            autocompletion=completion.functions,
            help="A function, task id or span id; of several runs the slowest from submit.",
        ),
    ],
    spans: options.Spans = None,
    job: options.Job = None,
    clock_correct: options.ClockCorrect = True,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Tell why a task took as long as it did, and above all why it waited.

    When it was submitted and by whom, what it waited for in turn and who held it, where it ran, the attempts before,
    what it waited for while it ran, and who waited for its result.

    Examples:

      raytrace-analyze why train

      raytrace-analyze why train /tmp/spans --job 02000000

      raytrace-analyze why 16310a0f0a45af5cffffffffffffffffffffffff01000000 --format json
    """
    from raytrace_analyze.analyses.task_story import tell_story
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.stuck.why_view import show_story, story_document

    check_order(task, spans)
    found, exit_code = open_spans(spans, job=job)
    story = tell_story(found.spans, task, job=job, clock_correct=clock_correct)
    write_result(
        output_format,
        table=lambda: show_story(story, output()),
        document=lambda: story_document(story),
        frame=lambda: story.steps,
        found=found,
    )
    raise typer.Exit(exit_code)
