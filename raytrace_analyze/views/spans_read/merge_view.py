"""The summary that `merge` closes with."""

from collections.abc import Iterator, Sequence

from rich.console import Console

from raytrace_analyze.ingest.report import IngestReport
from raytrace_analyze.model import NOT_UTF8, Problem, ProblemKind
from raytrace_analyze.text.units import count_text, duration_text

_SHOWN = 5
_ADVICE = {
    ProblemKind.CUT_RECORD: "the process was killed while writing it",
    ProblemKind.DAMAGED_RECORD: "left out; everything around it is there",
}


def show_report(report: IngestReport, console: Console) -> None:
    """Print what was read, skipped, lost and noticed."""
    for line in report_lines(report):
        console.print(line, soft_wrap=True)
    show_problems(report.problems, console)


def show_problems(problems: Sequence[Problem], console: Console) -> None:
    """Print what was wrong with the input, file by file."""
    for line in problem_lines(problems):
        console.print(line, style="yellow", soft_wrap=True)


def report_lines(report: IngestReport) -> Iterator[str]:
    """Tell what was read and found, a line each."""
    copies = report.records - report.spans
    repeated = f" ({count_text(copies, 'copy', 'copies')} counted once)" if copies else ""
    files = count_text(len(report.files), "file") if report.files else "standard input"
    yield f"read     {files}, {count_text(report.spans, 'span')}{repeated}"
    yield (
        f"found    {count_text(report.traces, 'trace')}, {count_text(report.jobs, 'job')} in "
        f"{count_text(report.sessions, 'session')}, {count_text(report.processes, 'process', 'processes')}"
    )
    if report.start and report.end:
        length = (report.end - report.start).total_seconds() * 1e9
        first, last = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (report.start, report.end))
        yield f"time     {first} to {last} UTC ({duration_text(length)})"
    if report.in_flight:
        yield f"running  {count_text(report.in_flight, 'span')} never ended: killed, hung or still going"
    if report.attempts_without_span:
        lost = count_text(report.attempts_without_span, "more attempt")
        yield f"events   {lost} left no span, only task events: killed, never started or queued still"
    if report.lost_spans:
        losses = [problem for problem in report.problems if problem.kind is ProblemKind.LOST_SPANS]
        yield (
            f"lost     {count_text(report.lost_spans, 'span')} could not be written by "
            f"{count_text(len(losses), 'process', 'processes')}: what is told of them is not all that they did"
        )
    if report.skipped:
        yield "skipped  " + ", ".join(f"{count:,} {reason}" for reason, count in report.skipped.items())
    if report.unreadable:
        names = ", ".join(report.unreadable[:3])
        more = f" and {len(report.unreadable) - 3:,} more" if len(report.unreadable) > 3 else ""
        yield f"         not readable: {names}{more}"


def problem_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """Tell what was wrong, kind by kind, so that many problems of one kind do not hide those of another."""
    for kind in ProblemKind:
        of_kind = [problem for problem in problems if problem.kind is kind]
        for problem in of_kind[:_SHOWN]:
            at = f" at byte {problem.offset:,}" if problem.offset is not None else ""
            is_told = problem.kind in _ADVICE and not problem.detail.endswith(NOT_UTF8)
            advice = f"; {_ADVICE[problem.kind]}" if is_told else ""
            where = f"{problem.path}{at}: " if problem.path else ""
            yield f"{problem.kind}: {where}{problem.detail}{advice}"
        if len(of_kind) > _SHOWN:
            yield f"{kind}: {len(of_kind) - _SHOWN:,} more of these"
