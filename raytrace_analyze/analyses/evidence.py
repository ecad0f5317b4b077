"""What a table's figures rest on: how much of the record is missing, damaged or not written at all."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import polars as pl

from raytrace_analyze.ingest.given import table_of
from raytrace_analyze.ingest.loading import Found, Ingested
from raytrace_analyze.ingest.report import problems_of
from raytrace_analyze.model import Problem, ProblemKind
from raytrace_analyze.names.attributes import SAMPLER
from raytrace_analyze.prepared import PreparedTrace, Trace
from raytrace_analyze.table.events.attempts import is_attempt, only_spans, with_event_columns
from raytrace_analyze.table.lineage import RowIds, parent_rows
from raytrace_analyze.table.losses import told_losses
from raytrace_analyze.values import frozen

_MOST_NAMES = 20


@frozen
class Evidence:
    """How complete a record is. Counts are of spans unless they say otherwise; names are sorted, 20 at most."""

    spans: int
    lost: int
    """Ended, and could not be written, as the hook says."""
    damaged: int
    """Places in files, not spans: nobody knows how many spans stood there."""
    cut: int
    """Files that end in the middle of a record, as a killed process leaves them."""
    unreadable: int
    """Files (and folders) that could not be read, or only in part."""
    conflicting: int
    """Places where two records of one span differ."""
    backwards: int
    """End before they start; taken to end as they start."""
    forgotten: int
    """Task attempts that Ray's head had dropped before they could be saved."""
    in_flight: int
    """Never ended."""
    without_parent: int
    """Name a parent that is not in the table."""
    parentless_hosts: tuple[str, ...]
    """The hosts that all of those were recorded on; a node's id where no host is named."""
    unrecorded: int
    """Task attempts that ran to their end, and left no span."""
    nodes_without_files: tuple[str, ...]
    """The nodes on which such attempts ran and of which there is no span at all."""
    unrecorded_there: int
    """How many of the `unrecorded` ran on these nodes."""
    samplers: tuple[str, ...]
    """What decides which spans are kept, where not all are."""
    without_waits: int
    """Recorded by processes that do not say what they waited for."""
    driverless: int
    """Sessions whose processes record waits, and none of them is a driver."""

    @property
    def broken_records(self) -> int:
        """Places where a record, of nobody knows which span, is damaged or cut off."""
        return self.damaged + self.cut

    @property
    def is_whole(self) -> bool:
        """Whether nothing is known to be missing."""
        counts = (
            *(self.lost, self.damaged, self.cut, self.unreadable, self.conflicting, self.backwards, self.forgotten),
            *(self.without_parent, self.unrecorded, len(self.samplers), self.without_waits, self.driverless),
        )
        return not any(counts)


def evidence(found: Ingested | Trace, trace: PreparedTrace | None = None) -> Evidence:
    """Tell what is missing of a record, from what `load` gave, or from a span table alone (columns of `schema.TABLE`).

    The table alone, or what `prepare` made of it, does not know what was damaged, cut off or lost when its files were
    read. `trace`, what `prepare` made of what `load` gave, spares looking for all parents again.
    """
    given = (found.spans if isinstance(found, Ingested) else found) if trace is None else trace
    problems = found.report.all_problems if isinstance(found, Ingested) else ()
    unreadable = len(found.report.unreadable) if isinstance(found, Ingested) else 0
    if isinstance(given, PreparedTrace):
        table, orphans = given.table, given.spans.select("host", "node_id").filter(given.structure.lacks_parent)
    else:
        table = table_of(given)
        spans = only_spans(table)
        orphans = without_parent(spans, parent_rows(spans))
    return evidence_of(with_event_columns(table).lazy(), orphans, problems, unreadable)


def evidence_of(
    table: pl.LazyFrame, orphans: pl.DataFrame, problems: tuple[Problem, ...] = (), unreadable: int = 0
) -> Evidence:
    """Tell what is missing of a table (columns of `schema.TABLE`), of which only a few columns are read.

    `orphans` are the spans whose parents are not in it: `host` and `node_id`; `problems` and `unreadable` what was met
    when its files were read.
    """
    spans = table.filter(~is_attempt())
    silent = _unrecorded(table.filter(is_attempt()))
    nodes = _missing_nodes(silent, spans)
    waits = pl.col("records_waits").fill_null(False)
    of_session = spans.group_by("session").agg(
        spans=pl.len(),
        in_flight=pl.col("end").null_count(),
        without_waits=(~waits).sum(),
        waits=waits.any(),
        drivers=(pl.col("category") == "driver").any(),
    )
    counts = of_session.collect()
    return Evidence(
        spans=int(counts.get_column("spans").sum()),
        lost=_lost(problems, ProblemKind.LOST_SPANS),
        damaged=_places(problems, ProblemKind.DAMAGED_RECORD),
        cut=_places(problems, ProblemKind.CUT_RECORD),
        unreadable=_places(problems, ProblemKind.UNREADABLE) + unreadable,
        conflicting=_places(problems, ProblemKind.CONFLICT),
        backwards=_lost(problems, ProblemKind.BACKWARDS),
        forgotten=_lost(problems, ProblemKind.FORGOTTEN_EVENTS),
        in_flight=int(counts.get_column("in_flight").sum()),
        without_parent=orphans.height,
        parentless_hosts=_names(orphans.select(pl.coalesce("host", "node_id")).to_series()),
        unrecorded=silent.height,
        nodes_without_files=_names(nodes),
        unrecorded_there=int(silent.get_column("node_id").is_in(nodes.implode()).sum()),
        samplers=_samplers(spans),
        without_waits=int(counts.get_column("without_waits").sum()),
        driverless=counts.filter(pl.col("waits") & ~pl.col("drivers")).height,
    )


def evidence_in_file(table: pl.LazyFrame, orphans: pl.DataFrame, found: Found) -> tuple[Evidence, tuple[Problem, ...]]:
    """Tell what `evidence` does of the one table that was found, of which only a few columns are read.

    `orphans` as for `evidence_of`. Gives the problems of the input, too.
    """
    now, earlier = problems_of(told_losses(table.filter(~is_attempt())), found.discovery, ())
    return evidence_of(table, orphans, now + earlier, len(found.discovery.unreadable)), now


def together(parts: Sequence[Evidence]) -> Evidence:
    """Put together what is missing of tables that have nothing to do with each other."""
    found: dict[str, Any] = {}
    for field in fields(Evidence):
        values = [getattr(part, field.name) for part in parts]
        is_names = isinstance(values[0], tuple)
        found[field.name] = _first_names(name for value in values for name in value) if is_names else sum(values)
    return Evidence(**found)


def _lost(problems: tuple[Problem, ...], kind: ProblemKind) -> int:
    return sum(problem.lost for problem in problems if problem.kind is kind)


def _places(problems: tuple[Problem, ...], kind: ProblemKind) -> int:
    return sum(problem.places for problem in problems if problem.kind is kind)


def without_parent(spans: pl.DataFrame, parent: RowIds) -> pl.DataFrame:
    """Give `host` and `node_id` of the spans that name a parent that is not there; `parent` is as `parent_rows` is."""
    return spans.select("host", "node_id").filter(spans.get_column("parent_id").is_not_null() & pl.Series(parent < 0))


def _unrecorded(attempts: pl.LazyFrame) -> pl.DataFrame:
    """Give the attempts that finished well and have no span: a process that was killed is none of these."""
    finished = attempts.filter(pl.col("state_finished").is_not_null(), pl.col("status") != "ERROR")
    return finished.select("node_id").collect()


def _missing_nodes(silent: pl.DataFrame, spans: pl.LazyFrame) -> pl.Series:
    ran = silent.get_column("node_id").drop_nulls().unique()
    if ran.is_empty():
        return ran
    known = spans.select(pl.col("node_id").drop_nulls().unique()).collect().to_series()
    return ran.filter(~ran.is_in(known.implode()))


def _samplers(spans: pl.LazyFrame) -> tuple[str, ...]:
    is_telling = pl.col("resource").str.contains(f'"{SAMPLER}"', literal=True)
    told = spans.filter(is_telling).select(pl.col("resource").unique()).collect().to_series()
    return _names(told.str.extract(rf'"{SAMPLER}"\s*:\s*"([^"\\]{{1,200}})'))


def _names(values: pl.Series) -> tuple[str, ...]:
    return _first_names(values.drop_nulls().unique().to_list())


def _first_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names))[:_MOST_NAMES])
