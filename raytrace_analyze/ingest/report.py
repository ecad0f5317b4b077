"""What is told of reading spans: what was read, skipped, lost and noticed on the way to a table."""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.decode.parquet import FORMAT as SPAN_TABLE
from raytrace_analyze.errors import NoSpansError, NoWholeSpanError
from raytrace_analyze.files.discover import CANNOT_UNPACK, NO_KIND, UNREADABLE
from raytrace_analyze.files.opened import readable
from raytrace_analyze.model import Discovery, Problem, ProblemKind
from raytrace_analyze.table.file.kept_problems import kept_problems
from raytrace_analyze.table.losses import lost_spans
from raytrace_analyze.table.totals import Totals
from raytrace_analyze.text.units import count_text
from raytrace_analyze.values import frozen


@frozen
class IngestReport:
    """What was read, skipped, lost and noticed on the way to a span table."""

    files: tuple[Path, ...]
    """The files read."""
    skipped: dict[str, int]
    """How many other entries were passed over, by reason."""
    unreadable: tuple[str, ...]
    """Folders and files that may not be opened."""
    problems: tuple[Problem, ...]
    records: int
    """Span records read; more than there are spans where copies were among them."""
    spans: int
    traces: int
    jobs: int
    sessions: int
    processes: int
    in_flight: int
    start: datetime.datetime | None
    end: datetime.datetime | None
    attempts_without_span: int = 0
    """Attempts of tasks that only Ray's task events know; no spans, and counted nowhere else."""
    earlier: tuple[Problem, ...] = ()
    """What was wrong with the files that the tables among the input were made of, as these say."""

    @property
    def lost_spans(self) -> int:
        """How many spans the hook could not write, as it says itself."""
        return sum(problem.lost for problem in self.problems if problem.kind is ProblemKind.LOST_SPANS)

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """What was wrong now, and what tables among the input say of earlier: what a table made of it has to tell."""
        return self.problems + self.earlier

    @property
    def is_damaged(self) -> bool:
        """Whether input was lost, so that the exit code has to say so."""
        return any(problem.is_damage for problem in self.problems)


def report_of(
    totals: Totals,
    files: tuple[Path, ...],
    discovery: Discovery,
    problems: Sequence[Problem],
    records: int | None = None,
) -> IngestReport:
    """Put together what is told of a table with these totals, read of `files`; `records` is how many were in them."""
    now, earlier = problems_of(totals.losses, discovery, problems)
    return IngestReport(
        files=files,
        skipped=discovery.skipped,
        unreadable=discovery.unreadable,
        problems=now,
        records=totals.spans if records is None else records,
        spans=totals.spans,
        traces=totals.traces,
        jobs=totals.jobs.height,
        sessions=totals.sessions.height,
        processes=totals.processes.height,
        in_flight=totals.in_flight,
        start=totals.start,
        end=totals.end,
        attempts_without_span=totals.attempts,
        earlier=earlier,
    )


def problems_of(
    losses: pl.DataFrame, discovery: Discovery, problems: Sequence[Problem]
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Give what was wrong with what was read, and what tables among it say was wrong earlier.

    `losses` is what spans say was lost (see `losses.told_losses`), `problems` what reading them met.
    """
    earlier = [
        problem for file in discovery.files if file.format == SPAN_TABLE.name for problem in kept_problems(file.path)
    ]
    # Losses are counted by process, whoever tells of them: once.
    headers = [problem for problem in (*problems, *earlier) if problem.kind is ProblemKind.LOST_SPANS]
    others = [problem for problem in problems if problem.kind is not ProblemKind.LOST_SPANS]
    return (
        (*discovery.problems, *others, *lost_spans(losses, headers)),
        tuple(problem for problem in earlier if problem.kind is not ProblemKind.LOST_SPANS),
    )


_IN_WORDS = {CANNOT_UNPACK: "packed files that are damaged", UNREADABLE: "files or folders that may not be read"}


def nothing_in(paths: Sequence[Path], discovery: Discovery, problems: Iterable[Problem]) -> NoSpansError:
    """Give the error that says why there is no span in these paths, as far as is known."""
    where = ", ".join(map(readable, paths))
    looked = sum(discovery.skipped.values()) + len(discovery.files)
    damaged = [problem for problem in problems if problem.kind is not ProblemKind.MISSING_PARENT]
    if damaged:
        first = damaged[0]
        return NoWholeSpanError(f"no whole span in {where}; {first.path}: {first.kind} ({first.detail})")
    kinds = [
        f"{_IN_WORDS.get(reason, reason)} ({count:,})"
        for reason, count in discovery.skipped.items()
        if reason not in NO_KIND
    ]
    if kinds:
        return NoSpansError(
            f"no spans that can be read in {where}, but {', '.join(kinds)}; docs/formats.md says what can be read"
        )
    return NoSpansError(
        f"no spans in {where} ({count_text(looked, 'file')} looked at); is tracing on? start Ray with "
        "--tracing-startup-hook, or ray.init(_tracing_startup_hook=...)"
    )
