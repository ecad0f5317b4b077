"""One job, or one trace, out of a large table: only the parts of its file that hold it are read.

Of a job comes with it what else ran in its cluster at the time, which its tasks may have waited for. A trace is read
alone where the hook recorded it, so that it tells itself what was waited for; else with its job, from which that is
inferred.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from raytrace_analyze.decode.parquet import CANNOT_READ, first_line
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.streams import held_open, readable
from raytrace_analyze.ingest import Found, Ingested, ingested_table
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.assemble import checked_table
from raytrace_analyze.table.components import connected
from raytrace_analyze.trace.scopes import find_job, number_scopes

LARGE_ROWS = 200_000
"""Smaller tables are read whole: that takes no longer than a moment."""

_JOB = ["session", "job_id"]
_BEHIND_HEX = "g"
"""Sorts behind every digit of an id."""


def load_scope(found: Found, *, job: str | None = None, trace: str | None = None) -> Ingested | None:
    """Read of a large table what has to do with one job or one trace, as commands name them.

    None where that cannot be told from a part of what was found: there is more than a table, it is small or damaged,
    or there is no such job or trace, or more than one.
    """
    if not found.is_one_table or (job is None) == (trace is None):
        return None
    path = found.discovery.files[0].path
    try:
        with held_open(path) as source:
            table = pl.scan_parquet(source, glob=False)
            if table.select(pl.len()).collect().item() < LARGE_ROWS or table.collect_schema() != TABLE:
                return None
            rows = _of_trace(table, trace) if trace is not None else _of_job(table, *_found_job(table, job or ""))
            return None if rows.is_empty() else ingested_table(found, checked_table(rows, str(path)))
    except (*CANNOT_READ, UsageError):
        return None  # reading all of it tells what is wrong


@dataclass(frozen=True)
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
            table = pl.scan_parquet(source, glob=False)
            if table.collect_schema() != TABLE:
                raise UsageError(f"{name} was written by another version; merge the span files anew")
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
            rows = pl.scan_parquet(source, glob=False).filter(pl.col("session").is_in(list(sessions))).collect()
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
