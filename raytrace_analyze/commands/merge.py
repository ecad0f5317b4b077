"""`merge`: many span files to one span table."""

from pathlib import Path
from typing import Annotated

import typer

from raytrace_analyze.commands.reading import writing
from raytrace_analyze.errors import EXIT_DAMAGED, DamagedInputError, UsageError


def merge(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATHS...", help="Span files, and folders to search for them.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the table.")] = Path(
        "spans.parquet"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that no merge wrote.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing if any input is damaged.")] = False,
) -> None:
    """Merge span files into one table.

    Finds span files by their content wherever they lie (other files are skipped), reads plain, gzip and zstd files,
    counts copies once, and reports on standard error what was read, skipped, cut off or damaged. The table appears
    whole or not at all, may be read by those who may read all of the files, and replaces an earlier table only.

    Examples:

      raytrace-analyze merge /tmp

      raytrace-analyze merge node1/ node2/ -o job.parquet
    """
    from raytrace_analyze.files.output import check_output, strictest_mode
    from raytrace_analyze.ingest import load
    from raytrace_analyze.table.assemble import write_table
    from raytrace_analyze.table.parquet_file import is_span_table
    from raytrace_analyze.views.console import messages
    from raytrace_analyze.views.merge_view import show_report

    check_output(output, is_span_table, force=force)
    found = load(paths)
    report = found.report
    if strict and report.is_damaged:
        show_report(report, messages())
        raise DamagedInputError("some input is damaged, so nothing was written (--strict)")
    try:
        check_output(output, is_span_table, force=force)  # reading took a while
        write_table(found.spans, output, mode=strictest_mode(report.files), problems=report.all_problems)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
    with writing():
        show_report(report, messages())
        messages().print(f"wrote    {output}", soft_wrap=True)
    if report.is_damaged:
        raise typer.Exit(EXIT_DAMAGED)
