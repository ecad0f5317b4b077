"""`collect`: the span files of every node of a Ray cluster, brought together."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from raytrace_analyze.command_line.reading import writing
from raytrace_analyze.errors import EXIT_DAMAGED, UsageError

if TYPE_CHECKING:
    from raytrace_analyze.cluster.destination import Destination

_ROUND_S = 60.0


def collect(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DEST", help="A folder, or a URL like s3://bucket/run.")
    ],
    address: Annotated[str, typer.Option(metavar="ADDR", help="The cluster, like auto or 10.0.0.1:6379.")] = "auto",
    paths: Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            metavar="PATH",
            help="Where to look on the nodes; may be given several times. Default: where hooks leave their files.",
            show_default=False,
        ),
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Remove from the nodes what was collected, of processes that have ended.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Collect every minute, until no other job runs on the cluster.")
    ] = False,
) -> None:
    """Gather and merge the span files of every node of a Ray cluster.

    A task on each live node finds the span files there and merges them; DEST/spans.parquet is the table of all nodes.
    Nothing has to be installed on the nodes, and nothing there is changed without --move. Running it again reads only
    what is new or has grown, and keeps what came from nodes that are gone. Nodes that could not be read are named,
    with exit code 4. Collecting is not traced itself.

    Examples:

      raytrace-analyze collect --address auto -o run1/

      raytrace-analyze collect -o s3://traces/nightly --follow
    """
    from raytrace_analyze.cluster.destination import destination_of
    from raytrace_analyze.cluster.ray_cluster import connected, other_jobs_run

    destination = destination_of(output)
    with connected(address):
        while True:
            goes_on = follow and other_jobs_run()
            is_damaged = _one_round(destination, paths or (), move)
            if not goes_on:
                break
            time.sleep(_ROUND_S)
    if is_damaged:
        raise typer.Exit(EXIT_DAMAGED)


def _one_round(destination: "Destination", paths: Sequence[str], move: bool) -> bool:
    """Collect once and say what came; tells whether something could not be read."""
    from raytrace_analyze.cluster.collect import collect as collect_nodes
    from raytrace_analyze.errors import NoSpansError
    from raytrace_analyze.views.screen.console import messages
    from raytrace_analyze.views.spans_read.collect_view import show_collected

    try:
        collected = collect_nodes(destination, paths, move=move)
    except OSError as error:
        raise UsageError(f"cannot write to {destination.shown('')}: {error.strerror or error}") from error
    with writing():
        show_collected(collected, messages())
    if not any(report.files for report in collected.nodes) and not collected.is_written:
        raise NoSpansError("nothing was collected")
    return collected.is_damaged
