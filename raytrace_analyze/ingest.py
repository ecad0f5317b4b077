"""From paths to the span table: find the files, decode them, assemble, and report what was met."""

import datetime
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import polars as pl

from raytrace_analyze.decode import find_span_files, format_of
from raytrace_analyze.decode.event_pieces import PIECES, join_pieces
from raytrace_analyze.decode.parquet import EVENT_TABLE_FORMAT
from raytrace_analyze.decode.parquet import FORMAT as SPAN_TABLE
from raytrace_analyze.decode.task_events import TASK_EVENTS
from raytrace_analyze.engines.local import decode_files
from raytrace_analyze.errors import NoSpansError, NoWholeSpanError, UsageError
from raytrace_analyze.files.discover import NO_KIND
from raytrace_analyze.files.streams import readable
from raytrace_analyze.model import Discovery, InputFile, Problem, ProblemKind, Progress
from raytrace_analyze.schema import DECODED, PROCESS
from raytrace_analyze.table.assemble import assemble, in_order, read_table
from raytrace_analyze.table.attempts import only_spans, task_events_of, with_task_events
from raytrace_analyze.table.checked import clamp_ends
from raytrace_analyze.table.event_spans import spans_of_events, split_by_hook
from raytrace_analyze.table.kept_problems import kept_problems
from raytrace_analyze.table.losses import lost_spans
from raytrace_analyze.table.row_events import has_row_events, read_row_events
from raytrace_analyze.table.task_events import events_path, merge_events, read_event_table
from raytrace_analyze.units import count_text


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Ingested:
    """What `load` found."""

    spans: pl.DataFrame
    """The span table, with what Ray's task events say in its rows: columns of `schema.TABLE`."""
    report: IngestReport
    inputs: tuple[InputFile, ...] = ()
    """The files that were found to hold something of ours, as they were before they were read."""

    @property
    def task_events(self) -> pl.DataFrame:
        """What version 0.1.0 gave beside the spans: the task events in their rows, one row an attempt; often empty.

        Columns of `decode.task_events.TASK_EVENTS`. It goes with the next version.
        """
        return task_events_of(self.spans)


def load(paths: str | PathLike[str] | Sequence[str | PathLike[str]], *, progress: Progress | None = None) -> Ingested:
    """Read all span files among `paths` (files and folders), and Ray's task events beside them, into one span table.

    `progress` is told which share of the files is read. Raises NoSpansError where there is no span in them;
    UsageError for a path that does not exist.
    """
    given = [paths] if isinstance(paths, str | PathLike) else paths
    listed = [Path(path) for path in given]
    discovery = find_span_files(listed)
    if len(discovery.files) == 1 and discovery.files[0].format == SPAN_TABLE.name:
        return _one_table(listed, discovery)
    sources = [file for file in discovery.files if format_of(file).holds_spans]
    frames: list[pl.DataFrame] = []
    problems: list[Problem] = []
    for decoded in decode_files(sources, progress=progress):
        frames.append(decoded.frame)
        problems += decoded.problems
    pieces, lost = _pieces(discovery.files)
    alone, adding = split_by_hook(pieces, pl.concat([DECODED.to_frame(), *frames]))
    frames.append(spans_of_events(alone))
    events, unread = _task_events(discovery.files, pl.concat([alone, adding]).select(TASK_EVENTS.names()))
    problems += [*lost, *unread]
    spans, noticed = assemble(frames, events)
    if spans.is_empty():
        raise _nothing_in(listed, discovery, [*discovery.problems, *problems])
    records = sum(frame.height for frame in frames)
    files = tuple(file.path for file in discovery.files if file in sources or format_of(file).read_pieces)
    return Ingested(spans, _report(spans, files, discovery, [*problems, *noticed], records), discovery.files)


def read_spans(*paths: str | PathLike[str]) -> pl.DataFrame:
    """Read span files, folders of them, or what `merge` wrote, into one span table.

    One row a span, and one an attempt that only Ray's task events know (`from_events`); the columns are those of
    `schema.TABLE`, times are Datetime(ns, UTC), and `duration_ns` (null for what never ended). A record that is damaged
    or cut off is left out; `load` tells of it. Raises NoSpansError where there is no span, UsageError for a path
    that does not exist.
    """
    return load(paths).spans.with_columns(duration_ns=(pl.col("end") - pl.col("start")).dt.total_nanoseconds())


def _one_table(paths: Sequence[Path], discovery: Discovery) -> Ingested:
    """Read a span table as it is: `merge` has put it together already."""
    (file,) = discovery.files
    try:
        spans = read_table(file.path)
    except UsageError as error:
        if file.is_given:
            raise
        raise _nothing_in(paths, discovery, [*discovery.problems, _unreadable(file.path, error)]) from error
    if spans.is_empty():
        raise NoSpansError(f"no spans in {readable(file.path)}: the table is empty")
    spans, clamped = clamp_ends(spans)
    events, lost = _older_events(discovery.files, [file.path] if not has_row_events(file.path) else [])
    known = in_order(with_task_events(spans, events)) if events.height else spans
    noticed = [*lost, *clamped]
    return Ingested(known, _report(known, (file.path,), discovery, noticed, only_spans(known).height))


def _pieces(files: Sequence[InputFile]) -> tuple[pl.DataFrame, list[Problem]]:
    """Read Ray's own events among the files, the pieces of each attempt put together."""
    frames: list[pl.DataFrame] = [PIECES.to_frame()]
    problems: list[Problem] = []
    for file in files:
        read_pieces = format_of(file).read_pieces
        if read_pieces is not None:
            frame, lost = read_pieces(file)
            frames.append(frame)
            problems += lost
    return join_pieces(pl.concat(frames)), problems


def _task_events(files: Sequence[InputFile], told: pl.DataFrame) -> tuple[pl.DataFrame, list[Problem]]:
    """Read the task events among the files: the hook's, those in rows of span tables, and where version 1 has them.

    `told` are those that Ray's own events tell.
    """
    frames: list[pl.DataFrame] = [told]
    problems: list[Problem] = []
    bare: list[Path] = []
    for file in files:
        read_task_events = format_of(file).read_task_events
        if read_task_events is not None:
            frame, lost = read_task_events(file)
            frames.append(frame)
            problems += lost
        elif file.format == SPAN_TABLE.name and has_row_events(file.path):
            frames.append(read_row_events(file.path))
        elif file.format == SPAN_TABLE.name:
            bare.append(file.path)
    older, unread = _older_events(files, bare)
    return merge_events([*frames, older]), [*problems, *unread]


def _older_events(files: Sequence[InputFile], bare: Sequence[Path]) -> tuple[pl.DataFrame, list[Problem]]:
    """Read what version 1 wrote beside its tables: beside the `bare` ones, and what is among the files.

    Beside a table that has its events in its rows, one that nobody asked for is out of date.
    """
    beside = {events_path(path): False for path in bare if os.path.exists(events_path(path))}  # noqa: PTH110 - that of Path may raise
    newer = {events_path(file.path) for file in files if file.format == SPAN_TABLE.name} - {*beside}
    tables = [file for file in files if file.format == EVENT_TABLE_FORMAT.name]
    given = beside | {file.path: file.is_given for file in tables if file.is_given or file.path not in newer}
    frames: list[pl.DataFrame] = []
    problems: list[Problem] = []
    for path in sorted(given):
        try:
            frames.append(read_event_table(path))
        except UsageError as error:
            if given[path]:
                raise
            problems.append(_unreadable(path, error))
    return merge_events(frames), problems


def _unreadable(path: Path, error: UsageError) -> Problem:
    name = readable(path)
    return Problem(ProblemKind.UNREADABLE, name, None, str(error).removeprefix(f"{name} "))


def _report(
    spans: pl.DataFrame,
    files: tuple[Path, ...],
    discovery: Discovery,
    problems: list[Problem],
    records: int,
) -> IngestReport:
    attempts = spans.height
    spans = only_spans(spans)
    earlier = [
        problem for file in discovery.files if file.format == SPAN_TABLE.name for problem in kept_problems(file.path)
    ]
    # Losses are counted by process, whoever tells of them: once.
    headers = [problem for problem in (*problems, *earlier) if problem.kind is ProblemKind.LOST_SPANS]
    others = [problem for problem in problems if problem.kind is not ProblemKind.LOST_SPANS]
    return IngestReport(
        files=files,
        skipped=discovery.skipped,
        unreadable=discovery.unreadable,
        problems=(*discovery.problems, *others, *lost_spans(spans, headers)),
        records=records,
        spans=spans.height,
        traces=spans.get_column("trace_id").n_unique(),
        jobs=spans.select("session", "job_id").drop_nulls().n_unique(),
        sessions=spans.get_column("session").n_unique(),
        processes=spans.select(PROCESS).n_unique(),
        in_flight=spans.get_column("end").null_count(),
        start=_moment(spans.get_column("start").min()),
        end=_moment(spans.select(pl.max_horizontal("start", "end").max()).item()),
        attempts_without_span=attempts - spans.height,
        earlier=tuple(problem for problem in earlier if problem.kind is not ProblemKind.LOST_SPANS),
    )


def _moment(value: object) -> datetime.datetime | None:
    return value if isinstance(value, datetime.datetime) else None


def _nothing_in(paths: Sequence[Path], discovery: Discovery, problems: Iterable[Problem]) -> NoSpansError:
    where = ", ".join(map(readable, paths))
    looked = sum(discovery.skipped.values()) + len(discovery.files)
    damaged = [problem for problem in problems if problem.kind is not ProblemKind.MISSING_PARENT]
    if damaged:
        first = damaged[0]
        return NoWholeSpanError(f"no whole span in {where}; {first.path}: {first.kind} ({first.detail})")
    kinds = [f"{reason} ({count:,})" for reason, count in discovery.skipped.items() if reason not in NO_KIND]
    if kinds:
        return NoSpansError(
            f"no spans that can be read in {where}, but {', '.join(kinds)}; docs/formats.md says what can be read"
        )
    return NoSpansError(
        f"no spans in {where} ({count_text(looked, 'file')} looked at); is tracing on? start Ray with "
        "--tracing-startup-hook, or ray.init(_tracing_startup_hook=...)"
    )
