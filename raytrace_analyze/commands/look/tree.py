"""`tree`: a trace or a job as a tree of spans, the critical path marked."""

from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result
from raytrace_analyze.errors import UsageError


def tree(
    spans: options.Spans = None,
    job: options.Job = None,
    trace: options.Trace = None,
    no_infer: options.NoInfer = False,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[
        int, typer.Option(metavar="N", min=1, max=10**6, help="How many spans to show, those on the path first.")
    ] = 60,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show a trace or a job as a tree of spans with bars, the critical path marked.

    Without a scope: the job that took longest. JSON and CSV have all of its spans.

    Examples:

      raytrace-analyze tree

      raytrace-analyze tree /tmp/spans --trace 4e9cdefc --top 200
    """
    from raytrace_analyze.analyses.trace_tree import trace_tree
    from raytrace_analyze.path.options import PathOptions
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.tree_view import show_tree, tree_document

    if job is not None and trace is not None:
        raise UsageError("give one scope: a job or a trace")
    found, exit_code = open_spans(spans, job=job, trace=trace)
    prepared = prepare(found.spans, clock_correct=clock_correct)
    result = trace_tree(prepared, job=job, trace=trace, options=PathOptions(infer=not no_infer))
    write_result(
        output_format,
        table=lambda: show_tree(result, output(), top=top),
        document=lambda: tree_document(result),
        frame=lambda: result.spans,
        found=found,
    )
    raise typer.Exit(exit_code)
