"""`critical-path`: the chain that decided how long a job took."""

from typing import Annotated, Any

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.engine import check_engine
from raytrace_analyze.command_line.memory import keep_freed_memory
from raytrace_analyze.command_line.reading import given_paths, open_spans, write_result
from raytrace_analyze.commands.look.all_paths import check_scopes, sum_up, sum_up_large, sum_up_on_cluster
from raytrace_analyze.errors import UsageError
from raytrace_analyze.vocabulary.groups import PathGroup
from raytrace_analyze.vocabulary.options import Engine, Queues, Scopes


def critical_path(
    spans: options.Spans = None,
    job: options.Job = None,
    trace: options.Trace = None,
    task: options.Task = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="A request of Ray Serve, by its id or the beginning of it.")
    ] = None,
    all_scopes: Annotated[
        Scopes | None,
        typer.Option(
            "--all", metavar="jobs|traces|requests", help="Sum up the paths of all of them instead of showing one."
        ),
    ] = None,
    tail: Annotated[
        str | None,
        typer.Option(metavar="PERCENTILE", help="With --all: what differs in the slowest ones, p99 for the last 1 %."),
    ] = None,
    queues: Annotated[
        Queues,
        typer.Option(help="follow: go on through what held the actor or slot. show: keep that as time in the queue."),
    ] = Queues.FOLLOW,
    no_infer: Annotated[
        bool, typer.Option("--no-infer", help="Do not tell unrecorded waits from times; show only what is certain.")
    ] = False,
    infer_within: Annotated[
        float,
        typer.Option(
            metavar="MS", min=0, max=1e9, help="How long before a task's start its predecessor may have ended."
        ),
    ] = 100.0,
    near: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT", help="Also show what becomes critical next: chains with so little slack, such as 5%."
        ),
    ] = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also show how much of the time rests on inference, and on which.")
    ] = False,
    clock_correct: options.ClockCorrect = True,
    overlap_tolerance: Annotated[
        str,
        typer.Option(
            metavar="PERCENT", help="Take siblings that overlap by so much of their parent as sequential, such as 1%."
        ),
    ] = "0%",
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many lines of each table to show.")] = 15,
    by: Annotated[
        PathGroup, typer.Option(help="What to sum the time by; entrypoint and hour with --all.")
    ] = PathGroup.FUNCTION,
    internals: Annotated[
        bool, typer.Option("--internals", help="Show each function of Ray's own controllers, proxies and statistics.")
    ] = False,
    engine: options.Engine = Engine.LOCAL,
    address: options.Address = None,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show the chain of tasks, waits and queues that decided how long a job took.

    Without a scope: the job that took longest. Only what is on the chain can make the job shorter.
    Where its time went, what Ray's libraries run for themselves is one line, unless --internals.

    Examples:

      raytrace-analyze critical-path

      raytrace-analyze critical-path /tmp/spans --job 02000000

      raytrace-analyze critical-path --task train --queues show --format json

      raytrace-analyze critical-path --all traces --tail p99

      raytrace-analyze critical-path --all requests --tail p99
    """
    if all_scopes is not None:
        keep_freed_memory()
    from raytrace_analyze.analyses.evidence import evidence
    from raytrace_analyze.path.one_scope import critical_path as find_path
    from raytrace_analyze.path.options import PathOptions
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.views.documents import Records, path_document
    from raytrace_analyze.views.paths.confidence_view import confidence_document, show_confidence
    from raytrace_analyze.views.paths.path_view import show_path
    from raytrace_analyze.views.screen.console import output

    of_one: dict[str, object] = {"job": job, "trace": trace, "task": task, "request": request, "near": near}
    of_one["confidence"] = confidence or None
    check_scopes(all_scopes, of_one, tail, by)
    check_engine(engine, address, spans or ())
    within = None if near is None else float(options.read_percent(near, "near"))
    if within is not None and (trace is not None or task is not None or request is not None):
        raise UsageError("--near looks at a whole job; leave out --trace, --task and --request")
    tolerance = float(options.read_percent(overlap_tolerance, "overlap-tolerance"))
    how = PathOptions(queues, not no_infer, round(infer_within * 1e6), tolerance)
    if engine is Engine.RAY and all_scopes is None:
        raise UsageError("--engine ray finds the paths of many jobs or traces: add --all jobs or --all traces")
    if all_scopes is not None:
        from raytrace_analyze.analyses.all_paths.question import Question

        question = Question(all_scopes, by, tail, how, clock_correct)
        shown: dict[str, Any] = {"top": top, "output_format": output_format}
        if engine is Engine.RAY:
            raise typer.Exit(sum_up_on_cluster(given_paths(spans), question, address, **shown))
        if (of_large := sum_up_large(spans, question, **shown)) is not None:
            raise typer.Exit(of_large)
    is_part = task is None and request is None and all_scopes is None
    part = {"job": job, "trace": trace} if is_part else {}
    # Chains with little slack, and requests, are told from more than paths are.
    found, exit_code = open_spans(spans, **part, lean=True, for_paths=near is None and request is None)
    prepared = prepare(found.spans, clock_correct=clock_correct)
    if all_scopes is not None:
        sum_up(prepared, found, all_scopes, how, by=by, tail=tail, top=top, output_format=output_format)
        raise typer.Exit(exit_code)
    path = find_path(prepared, job=job, trace=trace, task=task, request=request, options=how)
    chains = None
    if within is not None:
        from raytrace_analyze.analyses.slack import near_chains, slack

        chosen = path.scope.chosen_by
        chains = near_chains(slack(prepared, chosen, options=how), within)

    def show() -> None:
        show_path(path, output(), top=top, by=by, internals=internals)
        if chains is not None:
            from raytrace_analyze.views.what_if_view import show_near

            show_near(chains, path.start_ns, path.makespan_ns, output(), top=top)
        if confidence:
            show_confidence(path, output(), top=top)

    def document() -> dict[str, Any]:
        near_by = {} if chains is None else {"near": Records(chains)}
        return path_document(path, by) | near_by | ({"confidence": confidence_document(path)} if confidence else {})

    write_result(
        output_format,
        table=show,
        document=document,
        frame=lambda: path.segments,
        found=evidence(found, prepared),
    )
    raise typer.Exit(exit_code)
