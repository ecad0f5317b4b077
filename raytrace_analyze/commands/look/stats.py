"""`stats`: latency per task."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import exit_code_of, one_table, open_spans, write_result
from raytrace_analyze.vocabulary.groups import LatencyGroup

if TYPE_CHECKING:
    from raytrace_analyze.analyses.evidence import Evidence
    from raytrace_analyze.analyses.latency import LatencyStats
    from raytrace_analyze.ingest.loading import Ingested


def stats(
    spans: options.Spans = None,
    by: Annotated[
        LatencyGroup, typer.Option(help="What to sum by; name takes every span, the others task runs.")
    ] = LatencyGroup.FUNCTION,
    clock_correct: options.ClockCorrect = True,
    internals: Annotated[
        bool, typer.Option("--internals", help="Show each function of Ray's own controllers, proxies and statistics.")
    ] = False,
    path: Annotated[
        bool | None,
        typer.Option(
            "--path/--no-path",
            help="Whether to tell each group's share of the critical path. [default: up to 500,000 rows]",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many groups to show in the table.")] = 20,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Show how long tasks ran, waited to start, and took to submit.

    Count, errors, p50 to p99 and max per function, and each function's share of the critical path (of all jobs).
    What Ray's libraries run for themselves is one line, unless --internals.

    Examples:

      raytrace-analyze stats

      raytrace-analyze stats /tmp/spans --by node --format csv
    """
    from raytrace_analyze.views.documents import records
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.tables import show_stats

    result, found, exit_code = _summed_up(spans, path, by=by, clock_correct=clock_correct, internals=internals)
    write_result(
        output_format,
        table=lambda: show_stats(result, by, output(), top=top),
        document=lambda: {"by": str(by), "stats": records(result)},
        frame=lambda: result,
        found=found,
    )
    raise typer.Exit(exit_code)


def _summed_up(
    spans: list[Path] | None, path: bool | None, **asked: Any
) -> "tuple[LatencyStats, Ingested | Evidence, int]":
    """Sum up of a large table only what a few of its columns tell, unless the path is asked for."""
    from raytrace_analyze.analyses.latency import latency_stats
    from raytrace_analyze.analyses.latency.large import WITH_PATH_ROWS, stats_of_large

    table = None if path else one_table(spans)
    large = None if table is None else stats_of_large(table, least_rows=WITH_PATH_ROWS, **asked)
    if large is not None:
        return large.stats, large.evidence, exit_code_of(large.problems)
    found, exit_code = open_spans(spans, lean=True)
    with_path = found.spans.height < WITH_PATH_ROWS if path is None else path
    return latency_stats(found.spans, path=with_path, **asked), found, exit_code
