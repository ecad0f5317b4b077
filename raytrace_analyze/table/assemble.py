"""From decoded records to the span table, and the table's Parquet file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.decode.column_types import check_times, check_types
from raytrace_analyze.decode.parquet import CANNOT_READ, check_columns, check_version, conform, first_line
from raytrace_analyze.decode.task_events import TASK_EVENTS
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.opened import readable, whole_content
from raytrace_analyze.model import Problem
from raytrace_analyze.schema import DECODED, FROM_EVENTS, NEEDED, TABLE
from raytrace_analyze.table.checked import clamp_ends
from raytrace_analyze.table.duplicates import deduplicate, has_copies
from raytrace_analyze.table.events.attempts import put_events, with_event_columns, with_task_events
from raytrace_analyze.table.events.task_events import close_attempts, events_path, is_event_table
from raytrace_analyze.table.file.gathered import gathered
from raytrace_analyze.table.file.kept_problems import PROBLEMS_KEY, problems_text
from raytrace_analyze.table.file.order import in_file_order
from raytrace_analyze.table.file.parquet_file import write_parquet
from raytrace_analyze.table.filled.begun import begin
from raytrace_analyze.table.filled.inherit import inherit
from raytrace_analyze.table.filled.operators import find_operators
from raytrace_analyze.table.filled.surroundings import find_surroundings, told_by
from raytrace_analyze.table.noticed import contradiction_problems, orphan_problems, orphans
from raytrace_analyze.table.parts import one_part
from raytrace_analyze.table.sessions import assign_sessions


def assemble(
    frames: Sequence[pl.DataFrame], events: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
    """Make the span table of decoded records (columns of `schema.DECODED`), with what task events add to them.

    Each span stands once, in order of start, trace and id, so that the order in which files were read does not show;
    attempts that only task events know are rows among them. Gives the table (columns of `schema.TABLE`) and what was
    noticed: copies that contradict each other, spans that end before they start, and parents that are missing.
    """
    if not frames:
        return TABLE.to_frame(), ()
    spans = pl.concat(frames, how="vertical", rechunk=True).select(list(DECODED))
    differing: list[pl.DataFrame] = []
    if has_copies(spans):
        spans, contradicting = deduplicate(spans)
        differing.append(contradicting)
    spans, changed = clamp_ends(in_order(spans))
    spans = spans.with_columns(session=assign_sessions(spans))
    if events is not None:
        spans = close_attempts(spans, events)
    begun = begin(spans, find_operators(one_part(spans)))
    spans = inherit(begun, find_surroundings([told_by(begun)], lambda ask: iter([ask(begun)])))
    noticed = (*contradiction_problems(differing), *changed, *orphan_problems([orphans(spans, begun.lacks_parent)]))
    known = put_events(spans, TASK_EVENTS.to_frame() if events is None else events)
    return in_order(known) if known.height > spans.height else known, noticed


def in_order(table: pl.DataFrame) -> pl.DataFrame:
    """Put the rows of a table in the order that it is in: by start, trace and id."""
    given = [table]
    del table
    order = given[0].select(pl.arg_sort_by("start", "trace_id", "span_id")).to_series()
    return gathered(given.pop(), order)


def write_table(
    spans: pl.DataFrame,
    path: Path | str,
    task_events: pl.DataFrame | None = None,
    *,
    mode: int | None = None,
    about: Mapping[str, str] | None = None,
    problems: Iterable[Problem] = (),
) -> None:
    """Write the span table as Parquet, with the schema version in its metadata.

    The file appears whole or not at all, with this mode (less the umask). `problems`, what was wrong with the input,
    are kept in it for those who read it (`IngestReport.earlier`). The task events that version 1 kept beside a
    table of this name go then. `task_events`, as version 0.1.0 gave them, are put into the rows first; the argument
    goes with the next version. `about` goes to the file's metadata. Raises OSError where the place cannot be written.
    """
    table = with_event_columns(with_task_events(spans, task_events))
    write_table_parts(lambda: iter([in_file_order(table)]), Path(path), mode=mode, about=about, problems=problems)


def write_table_parts(
    parts: Callable[[], Iterator[pl.DataFrame]],
    path: Path,
    *,
    mode: int | None = None,
    about: Mapping[str, str] | None = None,
    problems: Iterable[Problem] = (),
) -> None:
    """Write a span table that comes in parts, in the order of its file, as `write_table` does."""
    kept = problems_text(problems)
    metadata = {**(about or {}), **({PROBLEMS_KEY: kept} if kept else {})}
    write_parquet(parts, path, mode, metadata)
    older = events_path(path)
    if is_event_table(older):
        older.unlink(missing_ok=True)


def read_table(path: Path) -> pl.DataFrame:
    """Read a span table that `write_table` wrote (columns of `schema.TABLE`; null what an older version lacked).

    Raises UsageError for a file that is none of ours, is damaged, lacks columns, or was written by a newer version.
    """
    name = readable(path)
    try:
        source = whole_content(path)
        check_version(source, name)
        table = pl.scan_parquet(source, glob=False)
        kept = [column for column in table.collect_schema().names() if column in TABLE]
        return checked_table(table.select(kept).collect(), name)
    except CANNOT_READ as error:
        raise UsageError(f"{name} is damaged: {first_line(error)}; merge the span files anew") from error


def checked_table(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Give rows of a table's file in order of start, trace and id (columns of `schema.TABLE`), if they are sound.

    Raises UsageError, which calls the file by `name`, for columns that are missing or hold something else.
    """
    check_columns(rows, NEEDED, name)
    check_types(rows, TABLE, name)
    rows = conform(rows, TABLE)
    check_times(rows, name)
    check_columns(rows, NEEDED, name)  # a value of another type has become null
    finished = [rows.with_columns(pl.col(FROM_EVENTS).fill_null(False))]
    del rows
    return in_order(finished.pop())
