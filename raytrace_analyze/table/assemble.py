"""From decoded records to the span table, and the table's Parquet file."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.decode.column_types import check_times, check_types
from raytrace_analyze.decode.parquet import CANNOT_READ, check_columns, check_version, conform, first_line
from raytrace_analyze.decode.task_events import TASK_EVENTS
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.streams import readable, whole_content
from raytrace_analyze.model import Problem, ProblemKind
from raytrace_analyze.schema import DECODED, FROM_EVENTS, TABLE
from raytrace_analyze.table.attempts import put_events, with_event_columns, with_task_events
from raytrace_analyze.table.checked import clamp_ends
from raytrace_analyze.table.inherit import inherit
from raytrace_analyze.table.kept_problems import PROBLEMS_KEY, problems_text
from raytrace_analyze.table.parquet_file import write_parquet
from raytrace_analyze.table.sessions import assign_sessions
from raytrace_analyze.table.task_events import close_attempts, events_path, is_event_table

_IDENTITY = ["trace_id", "span_id"]
_MICROSECOND = "1us"
_EXAMPLES = 3

_NEEDED = ("trace_id", "span_id", "name", "kind", "category", "start", "status", "session")
"""The columns of a finished table without nulls."""


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
    spans, conflicts = _deduplicate(pl.concat(frames, how="vertical", rechunk=True).select(list(DECODED)))
    spans, clamped = clamp_ends(spans.sort("start", "trace_id", "span_id"))
    spans = spans.with_columns(session=assign_sessions(spans))
    if events is not None:
        spans = close_attempts(spans, events)
    spans = inherit(spans)
    noticed = (*conflicts, *clamped, *_missing_parents(spans))
    known = put_events(spans, TASK_EVENTS.to_frame() if events is None else events)
    return in_order(known) if known.height > spans.height else known, noticed


def in_order(table: pl.DataFrame) -> pl.DataFrame:
    """Put the rows of a table in the order that it is in: by start, trace and id."""
    return table.sort("start", "trace_id", "span_id")


def write_table(
    spans: pl.DataFrame,
    path: Path,
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
    kept = problems_text(problems)
    metadata = {**(about or {}), **({PROBLEMS_KEY: kept} if kept else {})}
    write_parquet(with_event_columns(with_task_events(spans, task_events)), path, mode, metadata)
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
        rows = pl.read_parquet(source, glob=False)
        check_columns(rows, _NEEDED, name)
        check_types(rows, TABLE, name)
        rows = conform(rows, TABLE)
        check_times(rows, name)
    except CANNOT_READ as error:
        raise UsageError(f"{name} is damaged: {first_line(error)}; merge the span files anew") from error
    check_columns(rows, _NEEDED, name)  # a value of another type has become null
    return rows.with_columns(pl.col(FROM_EVENTS).fill_null(False))


def _deduplicate(spans: pl.DataFrame) -> tuple[pl.DataFrame, list[Problem]]:
    """Keep one record of each span: one that ended before one in flight, then the one that ended later.

    A copy under another name, or a copy with less exact times, is no contradiction.
    """
    repeated = pl.struct(_IDENTITY).is_duplicated()
    if spans.select(_IDENTITY).n_unique() == spans.height:
        return spans, []
    once, copies = spans.filter(~repeated), spans.filter(repeated)
    # The order has to be total, or which of two contradicting copies stays would depend on the order of reading.
    first = ["end", "attributes", "events", "source"]
    rest = [name for name, dtype in copies.schema.items() if not dtype.is_nested() and name not in (*_IDENTITY, *first)]
    lists = [pl.col(name).list.join(",") for name, dtype in copies.schema.items() if dtype.is_nested()]
    descending = [False, False, True, True, True, *[False] * (1 + len(rest) + len(lists))]
    copies = copies.sort(*_IDENTITY, *first, *rest, *lists, descending=descending, nulls_last=True)
    kept = copies.unique(_IDENTITY, keep="first", maintain_order=True)
    return pl.concat([once, kept]), _conflicts(copies)


def _conflicts(copies: pl.DataFrame) -> list[Problem]:
    said = pl.struct(
        "name",
        "kind",
        "parent_id",
        "status",
        pl.col("start", "end").dt.truncate(_MICROSECOND),
        pl.col("attributes").str.replace_all(r"\s", ""),
    )
    differing = (
        copies.filter(pl.col("end").is_not_null())
        .group_by(_IDENTITY, maintain_order=True)
        .agg(said.n_unique().alias("versions"), pl.col("source").unique().sort(), pl.col("name").first())
        .filter(pl.col("versions") > 1)
    )
    problems = [
        Problem(
            ProblemKind.CONFLICT,
            row["source"][0],
            None,
            f"{row['versions']} records of span {row['span_id']} ({row['name']}) differ; kept the one that ended later",
        )
        for row in differing.head(_EXAMPLES).iter_rows(named=True)
    ]
    if (more := differing.height - len(problems)) > 0:
        problems.append(Problem(ProblemKind.CONFLICT, "", None, f"{more} more spans have records that differ"))
    return problems


def _missing_parents(spans: pl.DataFrame) -> list[Problem]:
    known = spans.select("trace_id", parent_id="span_id")
    lost = spans.filter(pl.col("parent_id").is_not_null()).join(known, on=["trace_id", "parent_id"], how="anti")
    if lost.is_empty():
        return []
    first = lost.row(0, named=True)
    detail = (
        f"{lost.height:,} of {spans.height:,} spans name a parent that is in none of the files "
        f"(first: span {first['span_id']}, {first['name']}); they are treated as roots"
    )
    return [Problem(ProblemKind.MISSING_PARENT, first["source"], None, detail)]
