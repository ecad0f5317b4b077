"""`merge`: many span files to one span table."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.engine import check_engine, on_engine
from raytrace_analyze.command_line.memory import allowed_bytes
from raytrace_analyze.command_line.reading import check_not_a_terminal, writing
from raytrace_analyze.command_line.standard_input import DASH, read_given
from raytrace_analyze.errors import EXIT_DAMAGED, DamagedInputError, UsageError
from raytrace_analyze.vocabulary.options import Engine

if TYPE_CHECKING:
    from raytrace_analyze.ingest.append import Known
    from raytrace_analyze.ingest.loading import Ingested
    from raytrace_analyze.ingest.merging import LargeIngested
    from raytrace_analyze.model import Problem, Progress

    _Reader = Callable[[Sequence[Path]], Ingested | LargeIngested]

_READING = 0.8
"""The share of a merge that reading takes, about."""


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
    append: Annotated[
        bool,
        typer.Option("--append", help="Add to FILE what is new: only files that are new or have changed are read."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing if any input is damaged.")] = False,
    drop_attributes: Annotated[
        bool,
        typer.Option(
            "--drop-attributes",
            help="Leave out what the program wrote: attributes, events, messages of exceptions, places in code.",
        ),
    ] = False,
    engine: options.Engine = Engine.LOCAL,
    address: options.Address = None,
) -> None:
    """Merge span files into one table.

    Finds span files by their content wherever they lie (other files are skipped), reads plain, gzip and zstd files,
    counts copies once, and reports on standard error what was read, skipped, cut off or damaged. The table appears
    whole or not at all, may be read by those who may read all of the files, and replaces an earlier table only.

    Examples:

      raytrace-analyze merge /tmp

      raytrace-analyze merge node1/ node2/ -o job.parquet

      raytrace-analyze merge /tmp --append

      raytrace-analyze merge /tmp --drop-attributes -o to_send.parquet

      raytrace-analyze merge /shared/spans --engine ray

      zcat spans.jsonl.gz | raytrace-analyze merge - -o - > job.parquet
    """
    from raytrace_analyze.views.screen.console import messages
    from raytrace_analyze.views.screen.progress import progress_shown
    from raytrace_analyze.views.spans_read.merge_view import show_report

    check_engine(engine, address, paths)
    is_stream = output == DASH
    if is_stream:
        check_not_a_terminal(sys.stdout, "a table")
    else:
        _check(output, force, ())
    known = _known(output) if append else None
    with progress_shown("merging") as progress, ExitStack() as until_written:
        until_written.enter_context(on_engine(engine, address))
        read = _reader(engine, partial(_scratch, until_written, output), lambda share: progress(share * _READING))
        found = _read(paths, output, known, read)
        is_refused = found is not None and strict and found.report.is_damaged
        if found is not None and not is_refused:
            found = _without_attributes(found) if drop_attributes else found
            if is_stream:
                _write_to_standard_output(found)
            else:
                _check(output, force, found.report.problems)  # reading took a while
                _write(found, output, known)
    if found is None:
        messages().print(f"nothing new for {output}", soft_wrap=True)
        return
    if is_refused:
        show_report(found.report, messages())
        raise DamagedInputError("some input is damaged, so nothing was written (--strict)")
    with writing():
        show_report(found.report, messages())
        if not is_stream:
            messages().print(f"wrote    {output}", soft_wrap=True)
    if found.report.is_damaged:
        raise typer.Exit(EXIT_DAMAGED)


def _known(output: Path) -> "Known | None":
    """Tell which files are in the table that is added to, None if there is none yet."""
    from raytrace_analyze.ingest.append import known_inputs

    if output == DASH:
        raise UsageError("--append adds to a file; name it with -o FILE")
    return known_inputs(output) if output.exists() else None


def _scratch(until_written: ExitStack, output: Path) -> Path:
    """Make a folder for what is too large for memory."""
    from raytrace_analyze.files.output import scratch_folder

    if output == DASH:
        import tempfile

        return Path(until_written.enter_context(tempfile.TemporaryDirectory(prefix="raytrace-")))
    return until_written.enter_context(scratch_folder(output))


def _reader(engine: Engine, scratch: Callable[[], Path], progress: "Progress") -> "_Reader":
    """Give what reads files into one table, where that is to be done."""
    if engine is Engine.RAY:
        from raytrace_analyze.cluster.merge import merge_on_cluster

        return lambda files: merge_on_cluster(files, progress)
    from raytrace_analyze.ingest.merging import merge_files

    return lambda files: merge_files(files, scratch, most_bytes=allowed_bytes(), progress=progress)


def _read(paths: list[Path], output: Path, known: "Known | None", read: "_Reader") -> "Ingested | LargeIngested | None":
    """Read all that is given, or the table and what is new; None where nothing is."""
    from raytrace_analyze.files.opened import readable
    from raytrace_analyze.ingest.append import new_inputs
    from raytrace_analyze.spilled.stored import ScratchError

    if known is not None:
        if DASH in paths:
            raise UsageError("--append knows files by their names, and standard input has none")
        paths = new_inputs(output, paths, known)
        if not paths:
            return None
    try:
        return read_given(paths, read)
    except ScratchError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    except OSError as error:
        what = readable(error.filename) if error.filename else "what was given"
        raise UsageError(f"cannot read {what}: {error.strerror or error}") from error


def _without_attributes(found: "Ingested | LargeIngested") -> "Ingested | LargeIngested":
    from raytrace_analyze.table.without_attributes import drop_attributes

    return found.changed(drop_attributes)


def _check(output: Path, force: bool, problems: "Sequence[Problem]") -> None:
    """Raise UsageError where the table would take the place of something that is not in it.

    A table of ours among the inputs may be replaced, as what it holds is in the new one; one that could not be read
    may not.
    """
    from raytrace_analyze.files.opened import readable
    from raytrace_analyze.files.output import check_output
    from raytrace_analyze.table.file.parquet_file import is_span_table

    lost = {os.path.realpath(problem.path) for problem in problems if problem.is_damage}
    is_lost = os.path.realpath(readable(output)) in lost
    check_output(output, lambda path: is_span_table(path) and not is_lost, force=force)


def _write(found: "Ingested | LargeIngested", output: Path, known: "Known | None") -> None:
    from raytrace_analyze.files.output import strictest_mode
    from raytrace_analyze.ingest.append import about_inputs
    from raytrace_analyze.ingest.merging import write_merged

    try:
        about = about_inputs(found.inputs, known)
        write_merged(found, output, mode=strictest_mode(found.report.files), about=about)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error


def _write_to_standard_output(found: "Ingested | LargeIngested") -> None:
    """Write the table by way of a file, as Parquet is not written front to back."""
    import tempfile

    from raytrace_analyze.ingest.merging import write_merged

    with tempfile.TemporaryDirectory(prefix="raytrace-") as folder, writing():
        file = Path(folder) / "spans.parquet"
        write_merged(found, file)
        with file.open("rb") as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer, 1 << 20)
