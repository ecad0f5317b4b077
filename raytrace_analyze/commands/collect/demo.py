"""`demo`: a small real Ray job, traced, merged, analysed."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from raytrace_analyze.command_line.traced import check_installed, merge_and_show, run_traced, say_command
from raytrace_analyze.errors import RaytraceError


def demo(
    directory: Annotated[
        Path, typer.Option("--dir", metavar="FOLDER", help="Where to leave the span files and the table.")
    ] = Path("raytrace-demo"),
) -> None:
    """Run a small real Ray job with tracing on, then show what decided its time.

    Needs Ray and the hook: pip install 'raytrace-analyze[demo]'. Takes about half a minute, mostly Ray starting.

    Examples:

      raytrace-analyze demo

      raytrace-analyze demo --dir /tmp/demo
    """
    from raytrace_analyze.analyses.latency import latency_stats
    from raytrace_analyze.views.screen.console import messages, output
    from raytrace_analyze.views.tables import show_stats

    check_installed("the demo")
    raw, table = directory / "spans", directory / "spans.parquet"
    messages().print("Running a small Ray job with tracing on ...")
    exit_code = run_traced([sys.executable, "-m", "raytrace_analyze.ray_programs.demo_job"], raw)
    if exit_code:
        raise RaytraceError(f"the demo's Ray job failed with exit code {exit_code}; see above")
    prepared = merge_and_show(raw, table)
    say_command(f"stats {table}")
    show_stats(latency_stats(prepared), "function", output(), top=20)
    for line in _next_steps(raw, table).splitlines():
        messages().print(line, soft_wrap=True)


def _next_steps(raw: Path, table: Path) -> str:
    here = shlex.quote(str(table))
    return (
        f"\nThe span files are in {raw}, the merged table is {table}. Go on with:\n"
        f"  raytrace-analyze critical-path {here} --task evaluate\n"
        f"  raytrace-analyze critical-path {here} --format json\n"
        f"  raytrace-analyze stats {here} --by actor\n"
        "Trace a program of yours, unchanged:\n"
        "  raytrace-analyze record script.py"
    )
