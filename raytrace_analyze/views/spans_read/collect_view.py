"""What came from the nodes of a cluster, on screen."""

from collections.abc import Iterator

from rich.console import Console

from raytrace_analyze.cluster.collect import Collected, NodeReport
from raytrace_analyze.cluster.ray_cluster import Node
from raytrace_analyze.text.units import count_text
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.spans_read.merge_view import show_problems

_ID = 8


def show_collected(collected: Collected, console: Console) -> None:
    """Print what each node gave and what it could not, then where the table is."""
    for report in collected.nodes:
        style = "yellow" if report.failed else ""
        console.print(label(f"{_named(report.node)}: {'; '.join(_words(report))}", style), soft_wrap=True)
        show_problems(report.problems, console)
    show_problems(collected.problems, console)
    if collected.is_written:
        what = f"wrote    {collected.table}: {count_text(collected.spans, 'span')} of all nodes"
    elif any(report.files for report in collected.nodes):
        what = f"nothing new; {collected.table} stays as it is"
    else:
        what = "no node has span files; is tracing on? try raytrace-analyze doctor"
    console.print(label(what), soft_wrap=True)


def _named(node: Node) -> str:
    return f"node {node.node_id[:_ID]} on {node.host}"


def _words(report: NodeReport) -> Iterator[str]:
    if report.failed:
        yield report.failed
        return
    if report.is_gone:
        yield "it has left the cluster; what it gave before stays"
    elif not report.files:
        yield "no span files of its own"
    elif not report.is_changed:
        yield f"{count_text(report.files, 'file')}, nothing new"
    else:
        size = report.size_bytes / 1e6
        yield f"{count_text(report.files, 'file')} ({size:,.1f} MB), {count_text(report.spans, 'span')}"
    if report.removed:
        yield f"{count_text(report.removed, 'file')} removed there"
    if report.unreadable:
        yield f"not readable: {', '.join(report.unreadable[:3])}"
