"""What every reading command does first (find the spans) and last (write the result)."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from raytrace_analyze.command_line.default_table import default_table
from raytrace_analyze.command_line.hints import check_paths
from raytrace_analyze.command_line.options import OutputFormat
from raytrace_analyze.command_line.standard_input import load_given
from raytrace_analyze.errors import EXIT_DAMAGED, EXIT_OK, UsageError

if TYPE_CHECKING:
    import polars as pl

    from raytrace_analyze.analyses.evidence import Evidence
    from raytrace_analyze.ingest.loading import Found, Ingested
    from raytrace_analyze.model import Problem


def open_spans(
    given: Sequence[Path] | None,
    *,
    job: str | None = None,
    trace: str | None = None,
    lean: bool = False,
    for_paths: bool = False,
) -> "tuple[Ingested, int]":
    """Read the spans a command was given; by default `default_table`.

    Of a large table only what has to do with `job` or `trace` is read, where one of them is all that is asked about;
    with `lean`, only what is not for its rows themselves to be shown; with `for_paths` as well, of that only what paths
    are told from.

    Gives what was read and the exit code that its input calls for: 4 where some of it was damaged, which is then
    named on standard error. Raises UsageError where there is nothing to read.
    """
    from raytrace_analyze.views.screen.progress import begin_work, end_work, progress_shown

    paths = given_paths(given)
    end_work()
    with progress_shown("reading spans") as progress:
        found = load_given(paths, progress, job=job, trace=trace, lean=lean, for_paths=for_paths)
    exit_code = exit_code_of(found.report.problems)
    begin_work()
    return found, exit_code


def one_table(given: Sequence[Path] | None) -> "Found | None":
    """Give the one merged table that a command was given, to be read in part; None for anything else."""
    from raytrace_analyze.command_line.memory import watch_memory

    paths = given_paths(given)
    if len(paths) != 1 or not paths[0].is_file():
        return None
    from raytrace_analyze.ingest.loading import find
    from raytrace_analyze.views.screen.progress import begin_work

    watch_memory()
    found = find(paths)
    begin_work()
    return found if found.is_one_table else None


def given_paths(given: Sequence[Path] | None) -> Sequence[Path]:
    """Give the paths that a command was given, or the table that it reads without. Raises UsageError for others."""
    table = default_table()
    if not given and not table.exists():
        raise UsageError(
            f"there is no {table} in this folder; name the span files, or make it first: raytrace-analyze merge FOLDER"
        )
    check_paths(given or (), table)
    return given or [table]


def exit_code_of(problems: "Sequence[Problem]") -> int:
    """Give the exit code that the input calls for: 4 where some was damaged; names what changes results."""
    from raytrace_analyze.views.screen.console import messages
    from raytrace_analyze.views.spans_read.merge_view import show_problems

    if told := [problem for problem in problems if problem.changes_results]:
        show_problems(told, messages())
    return EXIT_DAMAGED if any(problem.is_damage for problem in problems) else EXIT_OK


def write_result(
    output_format: OutputFormat,
    *,
    table: Callable[[], None],
    document: Callable[[], dict[str, Any]],
    frame: "Callable[[], pl.DataFrame]",
    found: "Ingested | Evidence | Mapping[str, Ingested]",
) -> None:
    """Write a result to standard output in the format asked for, and what it rests on: `found`, or each by its name."""
    from raytrace_analyze.analyses.evidence import Evidence, evidence
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.spans_read.evidence_view import evidence_document, show_evidence

    told: dict[str, Evidence] = {}
    for name, each in (found if isinstance(found, Mapping) else {"": found}).items():
        told[name] = each if isinstance(each, Evidence) else evidence(each)

    def show() -> None:
        table()
        for name, each in told.items():
            show_evidence(each, output(), of=name)

    def full_document() -> dict[str, Any]:
        documents = {name: evidence_document(each) for name, each in told.items()}
        return {**document(), "evidence": documents.get("", documents)}

    write_plain(output_format, table=show, document=full_document, frame=frame)


def write_plain(
    output_format: OutputFormat,
    *,
    table: Callable[[], None],
    document: Callable[[], dict[str, Any]],
    frame: "Callable[[], pl.DataFrame]",
) -> None:
    """Write a result to standard output in the format asked for, as it is."""
    from raytrace_analyze.views.documents import write_csv, write_json

    with writing():
        if output_format is OutputFormat.JSON:
            write_json(document(), sys.stdout)
        elif output_format is OutputFormat.CSV:
            write_csv(frame(), sys.stdout)
        else:
            table()


@contextmanager
def writing() -> Iterator[None]:
    """Write to standard output or error within this: a reader that leaves (`| head`) is no error of ours.

    Raises UsageError where it cannot be written to for another reason, such as a full disk.
    """
    from raytrace_analyze.views.screen.progress import end_work

    end_work()
    try:
        yield
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except BrokenPipeError:
        # What is still in the buffers has nowhere to go; without this the interpreter complains at its end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        raise typer.Exit(EXIT_OK) from None
    except OSError as error:
        raise UsageError(f"cannot write the result: {error.strerror or error}") from error


def check_not_a_terminal(stream: TextIO, what: str) -> None:
    """Raise UsageError where bytes that are no text would go to a terminal."""
    if stream.isatty():
        raise UsageError(f"standard output is a terminal, and {what} is no text; add > FILE, or use -o FILE")
