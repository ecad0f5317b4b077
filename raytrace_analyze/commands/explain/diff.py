"""`diff`: what moved the makespan from one run, or group of runs, to another; a gate for CI."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result
from raytrace_analyze.command_line.standard_input import check_read_once, shown_name
from raytrace_analyze.errors import EXIT_GATE_FAILED, UsageError
from raytrace_analyze.vocabulary.groups import DiffGroup
from raytrace_analyze.vocabulary.options import Queues

if TYPE_CHECKING:
    from fractions import Fraction

    from raytrace_analyze.analyses.diff import RunDiff


def diff(
    base: Annotated[
        Path, typer.Argument(metavar="BASE", help="What to compare with: a table, a span file, or a folder of them.")
    ],
    new: Annotated[
        Path, typer.Argument(metavar="NEW", help="What to compare. Every job on a side is one run of its group.")
    ],
    fail_over: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT", help="Exit with 1 if NEW takes longer by more than this, beyond noise, such as 10%."
        ),
    ] = None,
    job: Annotated[
        list[str] | None,
        typer.Option(
            "--job", metavar="ID", help="Only these jobs. Given twice: the first for BASE, the second for NEW."
        ),
    ] = None,
    by: Annotated[DiffGroup, typer.Option(help="What to break the difference down by.")] = DiffGroup.FUNCTION,
    queues: Annotated[
        Queues,
        typer.Option(help="follow: go on through what held the actor or slot. show: keep that as time in the queue."),
    ] = Queues.FOLLOW,
    clock_correct: options.ClockCorrect = True,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many lines of each table to show.")] = 15,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show what made one run, or group of runs, longer or shorter than another.

    The parts add up to the difference. With several runs a side, what lies inside the run-to-run spread is called
    noise, and --fail-over lets it pass; with one run each that spread is unknown.

    Examples:

      raytrace-analyze diff before.parquet after.parquet

      raytrace-analyze diff runs/main runs/branch --fail-over 10%

      raytrace-analyze diff /tmp/spans /tmp/spans --job 01000000 --job 02000000 --by cause
    """
    from raytrace_analyze.analyses.diff import diff as compare
    from raytrace_analyze.views.diff_view import diff_document, show_diff
    from raytrace_analyze.views.screen.console import output

    check_read_once([base, new])
    limit = None if fail_over is None else options.read_percent(fail_over, "fail-over", at_most=None)
    jobs = _jobs(job)
    of_base, base_code = open_spans([base], job=jobs and jobs[0])
    of_new, new_code = open_spans([new], job=jobs and jobs[1])
    found = compare(
        of_base.spans,
        of_new.spans,
        job=jobs,
        queues=queues,
        clock_correct=clock_correct,
    )
    names = (shown_name(base), shown_name(new))
    write_result(
        output_format,
        table=lambda: show_diff(found, names, output(), top=top, by=by),
        document=lambda: diff_document(found, names, by),
        frame=lambda: found.by(by),
        found={"base": of_base, "new": of_new},
    )
    has_failed = limit is not None and _gate_fails(found, limit)
    raise typer.Exit(EXIT_GATE_FAILED if has_failed else max(base_code, new_code))


def _jobs(given: list[str] | None) -> tuple[str, str] | None:
    if not given:
        return None
    if len(given) > 2:
        raise UsageError("--job can be given once for both sides, or twice: for BASE and for NEW")
    return (given[0], given[-1])


def _gate_fails(found: "RunDiff", limit: "Fraction") -> bool:
    """Decide the gate and say how on standard error."""
    from raytrace_analyze.views.diff_view import gate_text
    from raytrace_analyze.views.screen.console import messages

    has_failed = found.exceeds(limit)
    messages().print(f"raytrace-analyze: {gate_text(found, limit)}", soft_wrap=True)
    return has_failed
