"""`watch`: a job while it runs, from its files; or after a crash or a hang, what everything was doing last."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, write_result
from raytrace_analyze.errors import EXIT_OK, NoSpansError

if TYPE_CHECKING:
    from raytrace_analyze.analyses.stuck.running import Running

_REST = 3
"""Reading may take one part in so many of the time; a large record is looked at less often."""


def watch(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that the job's processes write their span files to.")
    ],
    once: Annotated[bool, typer.Option("--once", help="Look once: what everything did when the record ends.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, max=3600, help="How often to look.")] = 2.0,
    job: options.Job = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, max=10**6, help="How many lines of each table to show.")] = 10,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Watch a job while it runs: what runs now and since when, what waits for what, the critical path so far.

    Reads the files of the processes on this machine, and changes nothing. Ends with the job, or by Ctrl-C. With --once,
    or where standard output is no terminal, it looks once; times then count to the end of the record.

    Examples:

      raytrace-analyze watch /tmp/raytrace-0

      raytrace-analyze watch /tmp/raytrace-0 --once
    """
    if once or output_format is not options.OutputFormat.TABLE or not sys.stdout.isatty():
        _look_once(directory, job, top, output_format)
    else:
        _look_on(directory, job, top, every)
    raise typer.Exit(EXIT_OK)


def _look_once(directory: Path, job: str | None, top: int, output_format: options.OutputFormat) -> None:
    from raytrace_analyze.analyses.stuck.running import running
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.stuck.running_view import running_document, running_screen

    found, exit_code = open_spans([directory])
    now = running(found.spans, job=job)
    write_result(
        output_format,
        table=lambda: output().print(running_screen(now, now.last_ns, top=top)),
        document=lambda: running_document(now),
        frame=lambda: now.runs,
        found=found,
    )
    raise typer.Exit(exit_code)


def _look_on(directory: Path, job: str | None, top: int, every: float) -> None:
    """Show the job again and again; what it looked like last stays on the screen."""
    from rich.live import Live

    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.screen.label import label
    from raytrace_analyze.views.stuck.running_view import running_screen

    with Live(label(f"Waiting for spans in {directory} ..."), console=output(), auto_refresh=False) as screen:
        try:
            for found in _states(directory, job, every):
                screen.update(running_screen(found, time.time_ns(), top=top), refresh=True)
                if found.has_ended:
                    return
        except KeyboardInterrupt:
            return


def _states(directory: Path, job: str | None, every: float) -> "Iterator[Running]":
    """Give the job as it is, every so many seconds; read anew where a file has changed."""
    from raytrace_analyze.analyses.stuck.running import running
    from raytrace_analyze.ingest.loading import load

    seen: frozenset[tuple[str, int, int]] | None = None
    found: Running | None = None
    while True:
        began = time.monotonic()
        if (files := _files(directory)) != seen:
            seen = files
            try:
                found = running(load(directory).spans, job=job)
            except NoSpansError:
                found = None
        if found is not None:
            yield found
        time.sleep(max(every, _REST * (time.monotonic() - began)))


def _files(directory: Path) -> frozenset[tuple[str, int, int]]:
    """Give the files of a folder with their sizes and times, which tell whether one has changed."""
    found = set()
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - a path may be no text
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError:
                continue
            found.add((path, status.st_size, status.st_mtime_ns))
    return frozenset(found)
