"""What commands read of a large table: the job or trace that they ask about, or all without what only rows show.

Of a file only the parts that hold a job or trace are read. Of a job comes with it what else ran in its cluster at the
time, which its tasks may have waited for. A trace is read alone where the hook recorded it, so that it tells itself
what was waited for; else with its job, from which that is inferred.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import polars as pl

from raytrace_analyze.decode.parquet import CANNOT_READ, NOT_AS_WRITTEN, first_line
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.opened import held_open, readable
from raytrace_analyze.ingest.loading import Found, Ingested, ingested_table
from raytrace_analyze.names.attributes import DEPENDENCY_TASK_IDS, READY_TASK_IDS, SUBMITTED_TASK_ID
from raytrace_analyze.names.serve import is_handle, is_proxy, is_route
from raytrace_analyze.schema import FILE, TABLE
from raytrace_analyze.table.assemble import checked_table
from raytrace_analyze.table.components import connected
from raytrace_analyze.table.file.parquet_file import has_path_columns, is_unchanged, scan_table, times_in
from raytrace_analyze.trace.scopes import find_job, number_scopes
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.spans import Times

LARGE_ROWS = 200_000
"""Smaller tables are read whole: that takes no longer than a moment."""
LEAN_ROWS = 2_000_000
"""Smaller tables are read with all that is in their rows: there is room for them."""

_Answer = TypeVar("_Answer")

_LEAST_BYTES = 2
"""So much at least a row takes in a file."""
_ROWS = 500_000
"""How many rows are read at a time."""
_SHOWN_ONLY = ("links", "source")
_PLAIN = r"[ !#-\[\]-~]*"
"""Text as ids have it; other characters, which none has, would take three times as long to look for."""
_IN_COLUMNS = (
    rf'"ray(?:\.(?:pid|job_id|node_id|worker_id|task_id|actor_id)": ?"{_PLAIN}"'
    rf'|{SUBMITTED_TASK_ID.removeprefix("ray")}": ?"{_PLAIN}"'
    rf'|(?:{DEPENDENCY_TASK_IDS.removeprefix("ray")}|{READY_TASK_IDS.removeprefix("ray")})": ?\[[ !-Z^-~]*\])'
)
"""Attributes that are columns, too."""
_REDUNDANT = {rf"(?:{_IN_COLUMNS}, ?)+": "", rf"(?:, ?{_IN_COLUMNS})+\}}$": "}"}
"""How several of them stand in a row, before others and behind the last of these, and what is left then."""
_ALIKE = ("attributes", "trace_id")
"""Texts that many rows have, those of which every other attribute is the same."""
_JOB = ["session", "job_id"]
_BEHIND_HEX = "g"
"""Sorts behind every digit of an id."""


def load_needed(
    found: Found, *, job: str | None = None, trace: str | None = None, lean: bool = False, for_paths: bool = False
) -> Ingested | None:
    """Read of a large table what has to do with a job or trace, else with `lean` what `load_lean` does.

    None where all of what was found is to be read as it is.
    """
    some = None if job is None and trace is None else load_scope(found, job=job, trace=trace)
    return load_lean(found, for_paths=for_paths) if some is None and lean else some


def load_scope(found: Found, *, job: str | None = None, trace: str | None = None) -> Ingested | None:
    """Read of a large table what has to do with one job or one trace, as commands name them.

    None where that cannot be told from a part of what was found: there is more than a table, it is small or damaged,
    or there is no such job or trace, or more than one.
    """
    if (job is None) == (trace is None):
        return None

    def read(table: pl.LazyFrame) -> pl.DataFrame:
        return _of_trace(table, trace) if trace is not None else _of_job(table, *_found_job(table, job or ""))

    return _read_of(found, LARGE_ROWS, read, asks_all=False)


def load_lean(found: Found, *, for_paths: bool = False) -> Ingested | None:
    """Read a large table without what only its rows themselves show: null in `links` and `source`, less in attributes.

    With `for_paths` attributes are those alone that a path is told from, where the file has them apart. None where
    there is more than a table, or it is small or damaged.
    """
    return _read_of(found, LEAN_ROWS, _lean, for_paths=for_paths)


def _read_of(
    found: Found,
    least_rows: int,
    read: Callable[[pl.LazyFrame], pl.DataFrame],
    *,
    asks_all: bool = True,
    for_paths: bool = False,
) -> Ingested | None:
    """Read something of the one table that was found, if it has so many rows; None where it has not, or is damaged."""

    def rows(table: pl.LazyFrame) -> Ingested | None:
        spans = checked_table(read(table), str(found.discovery.files[0].path))
        return None if spans.is_empty() else ingested_table(found, spans)

    return ask_of(found, least_rows, rows, asks_all=asks_all, for_paths=for_paths)


def ask_of(
    found: Found,
    least_rows: int,
    ask: Callable[[pl.LazyFrame], _Answer | None],
    columns: pl.Schema = TABLE,
    good_for: Sequence[Times] = (),
    for_paths: bool = False,
    asks_all: bool = True,
) -> _Answer | None:
    """Ask something of the one table that was found, if it has so many rows, and these columns.

    Those of them that only the file has are `good_for` it, if it asks for them. With `for_paths` it has all of
    `schema.FILE` instead, if what paths are told from is among them. None where it has not, or is damaged; what does
    not ask about all rows (`asks_all`) is not to wait until it is known whether these are what was written.
    """
    if not found.is_one_table:
        return None
    file = found.discovery.files[0]
    if file.size_bytes < least_rows * _LEAST_BYTES:  # most are, and looking into one takes longer
        return None
    try:
        with held_open(file.path) as source:
            of_paths = scan_table(source, FILE) if for_paths and has_path_columns(source) else None
            table = scan_table(source, columns) if of_paths is None else of_paths
            if table is None or table.select(pl.len()).collect().item() < least_rows:
                return None
            if (good_for and times_in(source) not in good_for) or (asks_all and not is_unchanged(source)):
                return None
            return ask(table)
    except (*CANNOT_READ, UsageError):
        return None  # reading all of it tells what is wrong


@frozen
class Apart:
    """Sessions of a table that have no trace in common with any other: nothing in them is told from others."""

    sessions: tuple[str, ...]
    rows: int


def sessions_apart(found: Found) -> list[Apart]:
    """Tell which sessions of the one table that was found are to be looked at together, the largest first.

    Raises UsageError for a table that is damaged, or not of this version.
    """
    path = found.discovery.files[0].path
    name = readable(path)
    try:
        with held_open(path) as source:
            table = scan_table(source)
            if table is None:
                raise UsageError(f"{name} was written by another version; merge the span files anew")
            if not is_unchanged(source):
                raise OSError(NOT_AS_WRITTEN)
            of_trace = table.group_by("trace_id").agg(pl.col("session").unique().sort(), rows=pl.len())
            together = of_trace.group_by("session").agg(pl.col("rows").sum()).collect(engine="streaming")
    except CANNOT_READ as error:
        raise UsageError(f"{name} is damaged: {first_line(error)}; merge the span files anew") from error
    rows: dict[str, int] = {}
    for sessions, count in together.iter_rows():
        rows[sessions[0]] = rows.get(sessions[0], 0) + count
    groups = connected(together.get_column("session").to_list())
    found_apart = [Apart(tuple(sorted(group)), sum(rows.get(session, 0) for session in group)) for group in groups]
    return sorted(found_apart, key=lambda apart: (-apart.rows, apart.sessions))


def load_sessions(found: Found, sessions: Sequence[str]) -> Ingested:
    """Read of the one table that was found the rows of some sessions. Raises UsageError where it is damaged."""
    path = found.discovery.files[0].path
    try:
        with held_open(path) as source:
            table = pl.scan_parquet(source, glob=False).select(TABLE.names())
            rows = table.filter(pl.col("session").is_in(list(sessions))).collect()
    except CANNOT_READ as error:
        raise UsageError(f"{readable(path)} is damaged: {first_line(error)}; merge the span files anew") from error
    return ingested_table(found, checked_table(rows, str(path)))


def _of_trace(table: pl.LazyFrame, wanted: str) -> pl.DataFrame:
    begin = wanted.lower().removeprefix("0x")
    trace_id = pl.col("trace_id")
    rows = table.filter(trace_id >= begin, trace_id < begin + _BEHIND_HEX).collect()
    if rows.get_column("trace_id").n_unique() != 1 or rows.get_column("records_waits").all(ignore_nulls=False):
        return rows
    jobs = rows.select(_JOB).unique()
    return pl.concat([_of_job(table, *scope) for scope in jobs.iter_rows()]).unique(["trace_id", "span_id"])


def _found_job(table: pl.LazyFrame, wanted: str) -> tuple[str, str | None]:
    scopes = table.group_by(_JOB).agg(pl.col("start").min()).collect()
    numbers, keys = number_scopes(scopes, "jobs")
    session, job = scopes.filter(pl.Series(numbers) == find_job(keys, wanted)).select(_JOB).row(0)
    return session, job


def _of_job(table: pl.LazyFrame, session: str, job: str | None) -> pl.DataFrame:
    """Give the rows of a job, and those of others in its session at the time."""
    in_session = table.filter(pl.col("session") == session)
    times = in_session.filter(pl.col("job_id").eq_missing(pl.lit(job, pl.String)))
    begin, end = (
        times.select(pl.col("start").min(), pl.max_horizontal("start", "end").max().alias("end")).collect().row(0)
    )
    at_the_time = (pl.col("start") <= end) & (pl.col("end").is_null() | (pl.col("end") >= begin))
    return in_session.filter(at_the_time).collect()


def _lean(table: pl.LazyFrame) -> pl.DataFrame:
    """Read a part at a time, so that what is left out is never there for all rows."""
    rows = table.select(pl.len()).collect().item()
    names = [name for name in TABLE if name not in _SHOWN_ONLY]
    attributes = _lean_attributes(table)
    lean = table.with_columns(attributes).select(names)
    parts = (_with_values(lean.slice(first, _ROWS).collect()) for first in range(0, rows, _ROWS))
    if attributes.meta.root_names() == ["attributes"]:
        parts = (
            part.with_columns(_once(part.get_column(name)) for name in _ALIKE if name in part.columns) for part in parts
        )
    return pl.concat(list(parts), how="diagonal")


def _lean_attributes(table: pl.LazyFrame) -> pl.Expr:
    """Give the attributes but for what is said in columns, too; where the file has them, those that paths ask for.

    What paths ask of requests of Ray Serve is not among these.
    """
    if "path_attributes" in table.collect_schema():
        names = table.select(pl.col("name").unique()).collect().to_series()
        if not (is_proxy(names) | is_route(names) | is_handle(names)).any():
            return pl.col("path_attributes").alias("attributes")
    attributes = pl.col("attributes")
    for redundant, rest in _REDUNDANT.items():
        attributes = attributes.str.replace_all(redundant, rest)
    return attributes


def _with_values(part: pl.DataFrame) -> pl.DataFrame:
    """Leave out the columns without any value: null where other parts have some."""
    return part.select(column.name for column in part if column.null_count() < part.height)


def _once(texts: pl.Series) -> pl.Series:
    """Give the same texts, those that are equal in memory once, where many are."""
    different = texts.unique()
    if different.len() > texts.len() / 2:
        return texts
    return (
        texts.to_frame()
        .join(
            different.to_frame("x").with_columns(same="x"),
            left_on=texts.name,
            right_on="x",
            how="left",
            maintain_order="left",
            nulls_equal=True,
        )
        .get_column("same")
        .alias(texts.name)
    )
