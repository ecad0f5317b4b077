"""`demo`: a small real Ray job, traced, merged, analysed."""

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from raytrace_analyze.errors import RaytraceError, UsageError

_NEEDED = ("ray", "raytrace_hook")


def demo(
    directory: Annotated[
        Path, typer.Option("--dir", metavar="FOLDER", help="Where to leave the span files and the table.")
    ] = Path("raytrace-demo"),
) -> None:
    """Run a small real Ray job with tracing on, then show what decided its time.

    Needs Ray and the hook: pip install 'raytrace-analyze[demo]'. Takes about a minute, mostly Ray starting.

    Example:

      raytrace-analyze demo
    """
    from raytrace_analyze.ingest import load
    from raytrace_analyze.path import critical_path
    from raytrace_analyze.stats import latency_stats
    from raytrace_analyze.table import write_table
    from raytrace_analyze.views.console import messages, output
    from raytrace_analyze.views.merge_view import show_report
    from raytrace_analyze.views.path_view import show_path
    from raytrace_analyze.views.tables import show_stats

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the demo needs {' and '.join(missing)}: pip install 'raytrace-analyze[demo]'")
    raw = directory / "spans"
    table = directory / "spans.parquet"
    _prepare(raw)
    console, note = output(), messages()
    note.print("Running a small Ray job with tracing on ...")
    _run_job(raw)
    note.print(f"\n$ raytrace-analyze merge {raw} -o {table}", style="bold", markup=False)
    found = load([raw])
    spans = found.spans
    write_table(spans, table, found.task_events)
    show_report(found.report, note)
    note.print(f"\n$ raytrace-analyze critical-path {table}", style="bold", markup=False)
    show_path(critical_path(spans), console, top=15, by="function")
    note.print(f"\n$ raytrace-analyze stats {table}", style="bold", markup=False)
    show_stats(latency_stats(spans), "function", console, top=20)
    note.print(_next_steps(raw, table), markup=False)


def _prepare(raw: Path) -> None:
    """Make the folder for span files; those of an earlier demo go, nothing else does."""
    try:
        raw.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in raw.glob("spans-*"):
            old.unlink()
    except OSError as error:
        raise UsageError(f"cannot use {raw}: {error.strerror or error}; choose another folder with --dir") from error


def _run_job(raw: Path) -> None:
    environment = {**os.environ, "RAYTRACE_DIR": str(raw.resolve())}
    command = [sys.executable, "-m", "raytrace_analyze.demo_job"]
    finished = subprocess.run(command, env=environment, check=False)
    if finished.returncode:
        raise RaytraceError(f"the demo's Ray job failed with exit code {finished.returncode}; see above")


def _next_steps(raw: Path, table: Path) -> str:
    here = shlex.quote(str(table))
    return (
        f"\nThe span files are in {raw}, the merged table is {table}. Go on with:\n"
        f"  raytrace-analyze critical-path {here} --task evaluate\n"
        f"  raytrace-analyze critical-path {here} --format json\n"
        f"  raytrace-analyze stats {here} --by actor\n"
        "Trace your own program:\n"
        '  ray.init(_tracing_startup_hook="raytrace_hook:setup_tracing")\n'
        "  raytrace-analyze merge /tmp/raytrace-$(id -u)"
    )
