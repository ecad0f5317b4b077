"""From paths to the span table: find the files, decode them, assemble, and report what was met."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import polars as pl

from raytrace_analyze.decode import find_span_files, format_of
from raytrace_analyze.decode.event_pieces import PIECES, join_pieces
from raytrace_analyze.decode.parquet import EVENT_TABLE_FORMAT
from raytrace_analyze.decode.parquet import FORMAT as SPAN_TABLE
from raytrace_analyze.decode.task_events import TASK_EVENTS
from raytrace_analyze.engines.local import decode_files
from raytrace_analyze.errors import NoSpansError, UsageError
from raytrace_analyze.files.opened import readable
from raytrace_analyze.ingest.report import IngestReport, nothing_in, report_of
from raytrace_analyze.model import Discovery, InputFile, Problem, ProblemKind, Progress
from raytrace_analyze.schema import DECODED
from raytrace_analyze.table.assemble import assemble, in_order, read_table
from raytrace_analyze.table.checked import clamp_ends
from raytrace_analyze.table.events.attempts import task_events_of, with_task_events
from raytrace_analyze.table.events.in_rows import has_row_events, read_row_events
from raytrace_analyze.table.events.spans import spans_of_events, split_by_hook
from raytrace_analyze.table.events.task_events import events_path, merge_events, read_event_table
from raytrace_analyze.table.totals import count_up
from raytrace_analyze.values import frozen


@frozen
class Ingested:
    """What `load` found."""

    spans: pl.DataFrame
    """The span table, with what Ray's task events say in its rows: columns of `schema.TABLE`."""
    report: IngestReport
    inputs: tuple[InputFile, ...] = ()
    """The files that were found to hold something of ours, as they were before they were read."""

    def changed(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> "Ingested":
        """Give the same with something done to its rows, each for itself."""
        return replace(self, spans=change(self.spans))

    @property
    def task_events(self) -> pl.DataFrame:
        """What version 0.1.0 gave beside the spans: the task events in their rows, one row an attempt; often empty.

        Columns of `decode.task_events.TASK_EVENTS`. It goes with the next version.
        """
        return task_events_of(self.spans)


@frozen
class Found:
    """What there is to read among some paths."""

    paths: tuple[Path, ...]
    discovery: Discovery

    @property
    def sources(self) -> list[InputFile]:
        """The files that hold spans."""
        return [file for file in self.discovery.files if format_of(file).holds_spans]

    @property
    def read(self) -> tuple[Path, ...]:
        """The files that hold spans, or Ray's own events."""
        files = (file for file in self.discovery.files if format_of(file).holds_spans or format_of(file).read_pieces)
        return tuple(file.path for file in files)

    @property
    def is_one_table(self) -> bool:
        """Whether there is just a table that `merge` has put together already."""
        return len(self.discovery.files) == 1 and self.discovery.files[0].format == SPAN_TABLE.name


def find(paths: str | PathLike[str] | Sequence[str | PathLike[str]]) -> Found:
    """Find the files that hold something of ours among files and folders. Raises UsageError, as `load` does."""
    try:
        listed = [Path(path) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]
    except TypeError as error:
        raise UsageError(f"span files are named by paths: {error}") from error
    if not listed:
        raise UsageError("no span files are named")
    return Found(tuple(listed), find_span_files(listed))


def load(paths: str | PathLike[str] | Sequence[str | PathLike[str]], *, progress: Progress | None = None) -> Ingested:
    """Read all span files among `paths` (files and folders), and Ray's task events beside them, into one span table.

    `progress` is told which share of the files is read. Raises NoSpansError where there is no span in them;
    UsageError for a path that does not exist.
    """
    return load_found(find(paths), progress=progress)


def load_found(found: Found, *, progress: Progress | None = None) -> Ingested:
    """Read what was found into one span table, as `load` does."""
    if found.is_one_table:
        return _one_table(found)
    frames: list[pl.DataFrame] = []
    problems: list[Problem] = []
    for decoded in decode_files(found.sources, progress=progress):
        frames.append(decoded.frame)
        problems += decoded.problems
    known = pl.concat([DECODED.to_frame(), *frames])
    made, events, lost = read_events(found.discovery.files, known)
    frames.append(made)
    problems += lost
    spans, noticed = assemble(frames, events)
    if spans.is_empty():
        raise nothing_in(found.paths, found.discovery, [*found.discovery.problems, *problems])
    records = sum(frame.height for frame in frames)
    report = report_of(count_up(spans), found.read, found.discovery, [*problems, *noticed], records)
    return Ingested(spans, report, found.discovery.files)


def read_spans(*paths: str | PathLike[str]) -> pl.DataFrame:
    """Read span files, folders of them, or what `merge` wrote, into one span table.

    One row a span, and one an attempt that only Ray's task events know (`from_events`); the columns are those of
    `schema.TABLE`, times are Datetime(ns, UTC), and `duration_ns` (null for what never ended). A record that is damaged
    or cut off is left out; `load` tells of it. Raises NoSpansError where there is no span, UsageError for a path
    that does not exist.
    """
    return load(paths).spans.with_columns(duration_ns=(pl.col("end") - pl.col("start")).dt.total_nanoseconds())


def _one_table(found: Found) -> Ingested:
    """Read a span table as it is: `merge` has put it together already."""
    discovery = found.discovery
    (file,) = discovery.files
    try:
        spans = read_table(file.path)
    except UsageError as error:
        if file.is_given:
            raise
        raise nothing_in(found.paths, discovery, [*discovery.problems, _unreadable(file.path, error)]) from error
    if spans.is_empty():
        raise NoSpansError(f"no spans in {readable(file.path)}: the table is empty")
    return ingested_table(found, spans)


def ingested_table(found: Found, spans: pl.DataFrame) -> Ingested:
    """Give what the one table that was found says: all or some of its rows, in order of start, trace and id."""
    discovery = found.discovery
    (file,) = discovery.files
    spans, clamped = clamp_ends(spans)
    events, lost = _older_events(discovery.files, [file.path] if not has_row_events(file.path) else [])
    known = in_order(with_task_events(spans, events)) if events.height else spans
    return Ingested(known, report_of(count_up(known), (file.path,), discovery, [*lost, *clamped]))


def read_events(files: Sequence[InputFile], known: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, list[Problem]]:
    """Read what Ray tells of tasks among the files; `known` has session, job and node of the spans that were read.

    Gives spans (columns of `DECODED`) of jobs that no span tells of, task events (columns of `TASK_EVENTS`), and what
    was wrong.
    """
    pieces, lost = _pieces(files)
    alone, adding = split_by_hook(pieces, known)
    events, unread = _task_events(files, pl.concat([alone, adding]).select(TASK_EVENTS.names()))
    return spans_of_events(alone), events, [*lost, *unread]


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
