"""`merge`: many span files to one span table."""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raytrace_analyze.commands.reading import check_not_a_terminal, writing
from raytrace_analyze.commands.standard_input import DASH, load_given
from raytrace_analyze.errors import EXIT_DAMAGED, DamagedInputError, UsageError

if TYPE_CHECKING:
    from raytrace_analyze.ingest import Ingested
    from raytrace_analyze.model import Problem


def merge(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATHS...", help="Span files, and folders to search for them; - for standard input."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write the table; - for standard output."),
    ] = Path("spans.parquet"),
    force: Annotated[
        bool, typer.Option("--force", help="Replace FILE also where no merge wrote it, such as an input.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing if any input is damaged.")] = False,
    drop_attributes: Annotated[
        bool,
        typer.Option(
            "--drop-attributes",
            help="Leave out what the program wrote: attributes, events, messages of exceptions, places in code.",
        ),
    ] = False,
) -> None:
    """Merge span files into one table.

    Finds span files by their content wherever they lie (other files are skipped), reads plain, gzip and zstd files,
    counts copies once, and reports on standard error what was read, skipped, cut off or damaged. The table appears
    whole or not at all, may be read by those who may read all of the files, and replaces an earlier table only.

    Examples:

      raytrace-analyze merge /tmp

      raytrace-analyze merge node1/ node2/ -o job.parquet

      raytrace-analyze merge /tmp --drop-attributes -o to_send.parquet

      zcat spans.jsonl.gz | raytrace-analyze merge - -o - > job.parquet
    """
    from raytrace_analyze.views.console import messages
    from raytrace_analyze.views.merge_view import show_report

    is_stream = output == DASH
    if is_stream:
        check_not_a_terminal(sys.stdout, "a table")
    else:
        _check(output, force, ())
    found = load_given(paths)
    report = found.report
    if strict and report.is_damaged:
        show_report(report, messages())
        raise DamagedInputError("some input is damaged, so nothing was written (--strict)")
    if drop_attributes:
        from raytrace_analyze.table.without_attributes import drop_attributes as without

        found = replace(found, spans=without(found.spans))
    if is_stream:
        _write_to_standard_output(found)
    else:
        _check(output, force, report.problems)  # reading took a while
        _write(found, output)
    with writing():
        show_report(report, messages())
        if not is_stream:
            messages().print(f"wrote    {output}", soft_wrap=True)
    if report.is_damaged:
        raise typer.Exit(EXIT_DAMAGED)


def _check(output: Path, force: bool, problems: "Sequence[Problem]") -> None:
    """Raise UsageError where the table would take the place of something that is not in it.

    A table of ours among the inputs may be replaced, as what it holds is in the new one; one that could not be read
    may not.
    """
    from raytrace_analyze.files.output import check_output
    from raytrace_analyze.files.streams import readable
    from raytrace_analyze.table.parquet_file import is_span_table

    lost = {os.path.realpath(problem.path) for problem in problems if problem.is_damage}
    is_lost = os.path.realpath(readable(output)) in lost
    check_output(output, lambda path: is_span_table(path) and not is_lost, force=force)


def _write(found: "Ingested", output: Path) -> None:
    from raytrace_analyze.files.output import strictest_mode
    from raytrace_analyze.table.assemble import write_table

    try:
        write_table(found.spans, output, mode=strictest_mode(found.report.files), problems=found.report.all_problems)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error


def _write_to_standard_output(found: "Ingested") -> None:
    """Write the table by way of a file, as Parquet is not written front to back."""
    from raytrace_analyze.table.assemble import write_table

    with tempfile.TemporaryDirectory(prefix="raytrace-") as folder, writing():
        file = Path(folder) / "spans.parquet"
        write_table(found.spans, file, problems=found.report.all_problems)
        with file.open("rb") as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer, 1 << 20)
