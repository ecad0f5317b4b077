"""`what-if`: how long a job would take after a change, and what would help most."""

import math
from typing import Annotated

import typer

from raytrace_analyze.command_line import completion, options
from raytrace_analyze.command_line.reading import open_spans, write_result
from raytrace_analyze.errors import UsageError


def what_if(
    spans: options.Spans = None,
    job: options.Job = None,
    speedup: Annotated[
        list[str] | None,
        typer.Option(
            "--speedup",
            metavar="NAME=N",
            autocompletion=completion.speedups,
            help="A function, or a span within tasks, and how many times as fast it is: load=2, load=inf. Repeatable.",
        ),
    ] = None,
    remove_queue: Annotated[
        bool, typer.Option("--remove-queue", help="Every task starts as soon as its inputs and its actor are there.")
    ] = False,
    slots: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="So many CPUs for tasks, in all the cluster.")
    ] = None,
    infinite_slots: Annotated[
        bool, typer.Option("--infinite-slots", help="As many CPUs as there are tasks; starting them takes its time.")
    ] = False,
    had_slots: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many CPUs there were. Default: as the driver or the queues tell."),
    ] = None,
    no_infer: options.NoInfer = False,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many lines of each table to show.")] = 10,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Predict how long a job would take if a function were faster, or there were other slots.

    The job is replayed over all that its tasks waited for. Without a change: for every function on the critical
    path, how much shorter the job would be if it were faster.

    Examples:

      raytrace-analyze what-if

      raytrace-analyze what-if --speedup load_part=2

      raytrace-analyze what-if /tmp/spans --speedup load_part=2 --slots 16 --format json
    """
    from raytrace_analyze.analyses.what_if import predict, rank
    from raytrace_analyze.path.one_scope import critical_path
    from raytrace_analyze.path.options import PathOptions
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.replay.change import Change
    from raytrace_analyze.replay.job import read_job
    from raytrace_analyze.views import what_if_view as view
    from raytrace_analyze.views.screen.console import output

    change = Change(parse_speedups(speedup or []), remove_queue, slots, infinite_slots)
    found, exit_code = open_spans(spans, job=job, lean=True)
    trace = prepare(found.spans, clock_correct=clock_correct)
    read = read_job(trace, job, PathOptions(infer=not no_infer), had_slots=had_slots, trust_cluster=True)
    if change == Change():
        answer = rank(read, critical_path(trace, job=job, options=PathOptions(infer=not no_infer)))
        write_result(
            output_format,
            table=lambda: view.show_ranking(answer, output(), top=top),
            document=lambda: view.ranking_document(answer),
            frame=lambda: answer.functions,
            found=found,
        )
    else:
        answer = predict(read, change)
        write_result(
            output_format,
            table=lambda: view.show_what_if(answer, output(), top=top),
            document=lambda: view.what_if_document(answer),
            frame=lambda: answer.changed,
            found=found,
        )
    raise typer.Exit(exit_code)


def parse_speedups(given: list[str]) -> dict[str, float]:
    """Read what was given as `NAME=N`. Raises UsageError where that is not a name and a positive number."""
    read: dict[str, float] = {}
    for text in given:
        name, _, factor = text.rpartition("=")
        try:
            read[name] = float(factor)
        except ValueError:
            name = ""
        if not name or not read[name] > 0 or math.isnan(read[name]):
            raise UsageError(f"--speedup takes a name and how many times as fast: load=2, not {text!r}")
    return read
