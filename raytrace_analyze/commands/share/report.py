"""`report`: everything about a job in one page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.reading import open_spans, writing
from raytrace_analyze.command_line.standard_input import DASH, check_read_once, shown_name
from raytrace_analyze.errors import UsageError

_MARK = b'<meta name="generator" content="raytrace-analyze '
_HEAD = 4096
"""In how much of its beginning a page of ours says that it is one."""


def report(
    spans: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SPANS | BASE NEW]",
            help="What to show: a table, a span file, or a folder of them. Two: also what changed from BASE to NEW.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the page; - for standard output.")
    ] = Path("report.html"),
    job: options.Job = None,
    clock_correct: options.ClockCorrect = True,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE even if it may be something else.")] = False,
) -> None:
    """Write one HTML page about a job: the answer, its path, a timeline, latencies, errors and advice.

    The page is complete in itself: it can be mailed, and is read in any browser without a network.

    Examples:

      raytrace-analyze report -o report.html

      raytrace-analyze report before.parquet after.parquet -o changed.html
    """
    from raytrace_analyze.files.opened import readable
    from raytrace_analyze.files.output import check_output, whole_file
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.report.build import html_report
    from raytrace_analyze.text.units import bytes_text
    from raytrace_analyze.views.screen.console import messages
    from raytrace_analyze.views.screen.progress import end_work

    base, new = _sides(spans)
    found, exit_code = open_spans(new, job=job)
    if output != DASH:
        check_output(output, _is_ours, force=force)
    before, base_code = (None, exit_code) if base is None else open_spans(base)
    page = html_report(
        prepare(found.spans, clock_correct=clock_correct),
        None if before is None else prepare(before.spans, clock_correct=clock_correct),
        job=job,
        names=(shown_name(base[0]), shown_name(new[0])) if base and new else ("BASE", "NEW"),
        ingest=found.report,
    ).encode()
    end_work()
    if output == DASH:
        with writing():
            sys.stdout.buffer.write(page)
        raise typer.Exit(max(exit_code, base_code))
    try:
        with whole_file(output) as file:
            file.write(page)
    except OSError as error:
        raise UsageError(f"cannot write {readable(output)}: {error.strerror or error}") from error
    messages().print(f"wrote {readable(output)} ({bytes_text(len(page))}): open it in a browser", soft_wrap=True)
    raise typer.Exit(max(exit_code, base_code))


def _sides(given: Sequence[Path] | None) -> tuple[list[Path] | None, list[Path] | None]:
    """Tell BASE (None: there is none) from what the page is about (None: the table in this folder)."""
    if not given or len(given) == 1:
        return None, list(given) if given else None
    if len(given) > 2:
        raise UsageError("report takes SPANS, or BASE and NEW; put several inputs together with merge first")
    check_read_once(given)
    return [given[0]], [given[1]]


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_HEAD)
    except OSError:
        return False
