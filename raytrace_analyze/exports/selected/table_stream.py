"""A large span table that is exported as it is read: what is in memory at a time does not grow with its length.

The critical path and the clocks are told from one set of sessions at a time, those that have to do with each other.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from raytrace_analyze.clocks.correction import OFFSETS, correct_clocks
from raytrace_analyze.decode.parquet import CANNOT_READ, first_line
from raytrace_analyze.errors import NoSpansError, UsageError
from raytrace_analyze.exports.selected.select import NOTHING_LEFT, nested_first, touching
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.files.opened import readable
from raytrace_analyze.ingest.large_tables import LARGE_ROWS, Apart, load_sessions, sessions_apart
from raytrace_analyze.ingest.loading import Found, ingested_table
from raytrace_analyze.ingest.report import IngestReport
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.path.result import SEGMENTS
from raytrace_analyze.prepared import prepare
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.checked import clamp_ends
from raytrace_analyze.table.events.attempts import is_attempt
from raytrace_analyze.table.file.parquet_file import scan_table, times_in
from raytrace_analyze.trace.scopes import find_job, find_trace, number_scopes
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.spans import Times

_SLICE = 1 << 16
"""How many rows are in memory at a time, beside the row group of the file that they are from."""

_ANALYSED_BYTES = 2500
"""Measured: what a span takes in memory while its session's clocks and path are looked for."""

_OF_SCOPES = ("trace_id", "session", "job_id", "start")


@frozen
class Filters:
    """Which spans of a table to take; all hold at once. As in `select`."""

    job: str | None = None
    trace: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    min_duration_ns: int = 0
    on_path: bool = False


@dataclass
class _Known:
    """What was told from the sessions that were looked at as a whole."""

    offsets: list[pl.DataFrame] = field(default_factory=list)
    segments: pl.DataFrame = field(default_factory=SEGMENTS.to_frame)
    path_name: str = ""


def is_large(found: Found) -> bool:
    """Tell whether what was found is one table, of this version, that is better not read into memory."""
    if not found.is_one_table:
        return False
    try:
        table = scan_table(found.discovery.files[0].path)
        return table is not None and int(table.select(pl.len()).collect().item()) >= LARGE_ROWS
    except CANNOT_READ:
        return False  # reading all of it tells what is wrong


def report_on(found: Found) -> IngestReport:
    """Give what is known of the one table that was found, but for its rows: what was wrong with what it is from."""
    return ingested_table(found, TABLE.to_frame()).report


def select_from_file(
    found: Found,
    filters: Filters,
    *,
    shows_path: bool,
    clock_correct: bool,
    most_bytes: int,
    left_out: Callable[[Apart, bool], None],
) -> Selection:
    """Choose spans of the one table that was found, as `select` does, to be read while they are written.

    Sessions whose clocks, or path, would take more than `most_bytes` (0: no limit) are told to `left_out`, and whether
    the path is of them. Raises UsageError for a scope that is unknown or ambiguous, or if what is `on_path` cannot
    be known.
    """
    path = found.discovery.files[0].path
    together = sessions_apart(found)
    table = pl.scan_parquet(path, glob=False).select(TABLE.names())
    with _damage_told(path):
        height = int(table.select(pl.len()).collect().item())
        scopes = list(_scopes(table, filters))
        of_path = _session_of_path(table, scopes) if shows_path or filters.on_path else None
        are_ordered = not clock_correct or times_in(path) is Times.ORDERED
        several = frozenset() if are_ordered else _with_several_clocks(table)
    known = _Known()
    for apart in together:
        is_of_path = of_path in apart.sessions
        if not is_of_path and several.isdisjoint(apart.sessions):
            continue
        if most_bytes and apart.rows * _ANALYSED_BYTES > most_bytes:
            if is_of_path and filters.on_path:
                raise UsageError(f"the critical path of {apart.rows:,} spans takes more memory; give --max-memory")
            left_out(apart, is_of_path)
            continue
        prepared = prepare(load_sessions(found, apart.sessions).spans, clock_correct=clock_correct)
        if not several.isdisjoint(apart.sessions):
            known.offsets.append(prepared.offsets)
        if is_of_path:
            job = filters.job if filters.trace is None else None
            chain = critical_path(prepared, job=job, trace=filters.trace)
            known.segments, known.path_name = chain.segments, chain.scope.name or chain.scope.id
    offsets = pl.concat(known.offsets or [OFFSETS.to_frame()])
    reader = _Reader(path, filters, scopes, offsets, known.segments, height)
    return Selection(reader.parts, -(-height // _SLICE), known.segments, known.path_name, lies_by_trace=True)


@frozen
class _Reader:
    path: Path
    filters: Filters
    scopes: list[pl.DataFrame]
    """What the rows of the job and of the trace that were asked for have in common."""
    offsets: pl.DataFrame
    segments: pl.DataFrame
    height: int
    """How many rows are in the file."""

    def parts(self) -> Iterator[pl.DataFrame]:
        """Give the spans that are chosen, a part of the file at a time. Raises NoSpansError where nothing is left."""
        is_any = False
        held = TABLE.to_frame()
        table = pl.scan_parquet(self.path, glob=False).select(TABLE.names())
        height = self.height
        for offset in range(0, height, _SLICE):
            with _damage_told(self.path):
                read = table.slice(offset, _SLICE).collect()
            part, held = _whole_starts(pl.concat([held, read]), is_last=offset + _SLICE >= height)
            chosen = self._chosen(part)
            is_any = is_any or chosen.height > 0
            yield chosen
        if not is_any:
            raise NoSpansError(NOTHING_LEFT)

    def _chosen(self, part: pl.DataFrame) -> pl.DataFrame:
        part = part.filter(~is_attempt())
        if self.offsets.get_column("is_proven").any():
            part = correct_clocks(part, self.offsets)
        for scope in self.scopes:
            part = part.join(scope, on=scope.columns, how="semi", nulls_equal=True, maintain_order="left")
        by = self.filters
        part, _ = clamp_ends(touching(part, by.from_ns, by.to_ns, by.min_duration_ns))
        if by.on_path:
            ids = ["trace_id", "span_id"]
            part = part.join(self.segments.select(ids), on=ids, how="semi", maintain_order="left")
        return nested_first(part.with_columns(_trace=pl.col("trace_id").rle_id()), "_trace", "start").drop("_trace")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except CANNOT_READ as error:
        raise UsageError(f"{readable(path)} is damaged: {first_line(error)}; merge the span files anew") from error


def _whole_starts(rows: pl.DataFrame, *, is_last: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Hold back the spans at the end that others which start with them may follow: they are put in order together."""
    if is_last or rows.is_empty():
        return rows, rows.clear()
    last = pl.col("trace_id", "start") == pl.col("trace_id", "start").last()
    kept = rows.height - int(rows.select(pl.all_horizontal(last).sum()).item())
    return rows[:kept], rows[kept:]


def _scopes(table: pl.LazyFrame, filters: Filters) -> Iterator[pl.DataFrame]:
    """Give what the rows of the job and of the trace that were asked for have in common."""
    for wanted, kind, columns in (
        (filters.job, "jobs", ("session", "job_id")),
        (filters.trace, "traces", ("trace_id",)),
    ):
        if wanted is not None:
            spans = table.select(_OF_SCOPES).unique(list(columns), keep="any").collect()
            scope_of, keys = number_scopes(spans, kind)
            number = find_job(keys, wanted) if kind == "jobs" else find_trace(keys, wanted)
            yield spans.filter(pl.Series(scope_of) == number).select(columns).unique()


def _session_of_path(table: pl.LazyFrame, scopes: list[pl.DataFrame]) -> str:
    """Give the session whose job or trace the path is of: the one that was asked for, or the longest job."""
    spans = table.filter(~is_attempt())
    if scopes:  # of both, the trace is what the path is of
        spans = spans.join(scopes[-1].lazy(), on=scopes[-1].columns, how="semi", nulls_equal=True)
    took = pl.max_horizontal("start", "end").max() - pl.col("start").min()
    jobs = spans.group_by("session", "job_id").agg(took=took, is_job=pl.col("job_id").first().is_not_null())
    longest = jobs.sort("is_job", "took", descending=True).head(1).collect()
    return str(longest.get_column("session").item())


def _with_several_clocks(table: pl.LazyFrame) -> frozenset[str]:
    """Give the sessions whose spans are from more than one machine, so that clocks can be off against each other."""
    machines = table.group_by("session").agg(several=pl.struct("node_id", "host").n_unique() > 1)
    return frozenset(machines.filter("several").collect().get_column("session").to_list())
