"""`critical-path --all`: what holds the critical paths of all jobs or traces."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raytrace_analyze.command_line.engine import on_engine
from raytrace_analyze.command_line.options import OutputFormat
from raytrace_analyze.command_line.reading import exit_code_of, one_table, write_result
from raytrace_analyze.errors import UsageError
from raytrace_analyze.vocabulary.groups import ONLY_OF_MANY
from raytrace_analyze.vocabulary.options import Engine, Scopes

if TYPE_CHECKING:
    from raytrace_analyze.analyses.all_paths.question import Answer, Question
    from raytrace_analyze.analyses.evidence import Evidence
    from raytrace_analyze.ingest.loading import Ingested
    from raytrace_analyze.path.aggregate import Aggregates
    from raytrace_analyze.path.options import PathOptions
    from raytrace_analyze.prepared import PreparedTrace


def check_scopes(all_scopes: Scopes | None, one_scope: Mapping[str, object], tail: str | None, by: str) -> None:
    """Refuse options that contradict each other, before anything is read. Raises UsageError.

    `one_scope` holds, by name, the options that are about one path alone.
    """
    given = [name for name, value in one_scope.items() if value is not None]
    if all_scopes is not None and given:
        raise UsageError(f"--all is about all {all_scopes}; leave out --{given[0]}")
    if all_scopes is None and tail is not None:
        raise UsageError("--tail compares many jobs or traces: add --all jobs, --all traces or --all requests")
    if all_scopes is None and by in ONLY_OF_MANY:
        raise UsageError(f"--by {by} compares many jobs or traces: add --all jobs, --all traces or --all requests")


def sum_up(
    trace: "PreparedTrace",
    found: "Ingested",
    scopes: Scopes,
    how: "PathOptions",
    *,
    by: str,
    tail: str | None,
    top: int,
    output_format: OutputFormat,
) -> None:
    """Write what holds the paths of all scopes of a trace, which was prepared from what was `found`."""
    from raytrace_analyze.analyses.evidence import evidence
    from raytrace_analyze.path.aggregate import aggregate_paths

    sums = aggregate_paths(trace, how, scopes=scopes, by=by, tail=tail)
    _write(sums, evidence(found, trace), scopes, by, top, output_format)


def sum_up_large(
    given: Sequence[Path] | None, question: "Question", *, top: int, output_format: OutputFormat
) -> int | None:
    """Do what `sum_up` does for a large table, in little memory; gives the exit code that its input calls for.

    None where it is to be looked at as a whole.
    """
    found = one_table(given)
    if found is None:
        return None
    from raytrace_analyze.analyses.all_paths.large import paths_of_large
    from raytrace_analyze.views.screen.progress import end_work, progress_shown

    end_work()
    with progress_shown("finding paths") as progress:
        answer = paths_of_large(found, question, progress)
    return None if answer is None else _answered(answer, question, top, output_format)


def sum_up_on_cluster(
    paths: Sequence[Path], question: "Question", address: str | None, *, top: int, output_format: OutputFormat
) -> int:
    """Do what `sum_up` does on a cluster, for a merged table; gives the exit code that its input calls for."""
    from raytrace_analyze.cluster.paths import paths_on_cluster
    from raytrace_analyze.views.screen.progress import progress_shown

    with progress_shown("finding paths") as progress, on_engine(Engine.RAY, address):
        answer = paths_on_cluster(paths, question, progress)
    return _answered(answer, question, top, output_format)


def _answered(answer: "Answer", question: "Question", top: int, output_format: OutputFormat) -> int:
    exit_code = exit_code_of(answer.problems)
    _write(answer.sums, answer.evidence, question.scopes, question.by, top, output_format)
    return exit_code


def _write(
    sums: "Aggregates", rests_on: "Evidence", scopes: str, by: str, top: int, output_format: OutputFormat
) -> None:
    from raytrace_analyze.views.paths.aggregate_view import aggregates_document, show_aggregates
    from raytrace_analyze.views.screen.console import output

    write_result(
        output_format,
        table=lambda: show_aggregates(sums, output(), scopes=scopes, by=by, top=top),
        document=lambda: aggregates_document(sums, scopes=str(scopes), by=str(by)),
        frame=lambda: sums.frame,
        found=rests_on,
    )
