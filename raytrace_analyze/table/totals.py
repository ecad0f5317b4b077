"""How much is in a table: counts for the report of a merge, in one go or part by part."""

import datetime
from collections.abc import Sequence

import polars as pl

from raytrace_analyze.schema import PROCESS
from raytrace_analyze.table.events.attempts import only_spans
from raytrace_analyze.table.losses import told_losses
from raytrace_analyze.table.parts import distinct
from raytrace_analyze.values import frozen

_JOB = ["session", "job_id"]


@frozen
class Totals:
    """What is in a table, or in a part of whole traces."""

    spans: int
    traces: int
    attempts: int
    """Attempts of tasks without a span."""
    in_flight: int
    start: datetime.datetime | None
    end: datetime.datetime | None
    jobs: pl.DataFrame
    sessions: pl.DataFrame
    processes: pl.DataFrame
    """The columns that tell them apart, each once."""
    losses: pl.DataFrame
    """What spans say was lost; see `losses.told_losses`."""


def count_up(table: pl.DataFrame) -> Totals:
    """Count what is in a table (columns of `schema.TABLE`), or in a part of whole traces."""
    spans = only_spans(table)
    names = [*dict.fromkeys((*_JOB, *PROCESS))]
    # Hashes of texts are told apart in a third of the time.
    mixed = pl.reduce(lambda one, other: one ^ other, [pl.col(name).hash(seed) for seed, name in enumerate(names)])
    who = spans.select(names)[spans.select(mixed.arg_unique()).to_series()]
    return Totals(
        spans.height,
        spans.get_column("trace_id").n_unique(),
        table.height - spans.height,
        spans.get_column("end").null_count(),
        _moment(spans.get_column("start").min()),
        _moment(spans.select(pl.max_horizontal("start", "end").max()).item()),
        who.select(_JOB).drop_nulls().unique(),
        who.select("session").unique(),
        who.select(PROCESS).unique(),
        told_losses(spans),
    )


def added_up(parts: Sequence[Totals]) -> Totals:
    """Add up what is in the parts of a table."""
    starts = [part.start for part in parts if part.start is not None]
    ends = [part.end for part in parts if part.end is not None]
    return Totals(
        sum(part.spans for part in parts),
        sum(part.traces for part in parts),
        sum(part.attempts for part in parts),
        sum(part.in_flight for part in parts),
        min(starts, default=None),
        max(ends, default=None),
        distinct([part.jobs for part in parts]),
        distinct([part.sessions for part in parts]),
        distinct([part.processes for part in parts]),
        pl.concat([part.losses for part in parts]),
    )


def _moment(value: object) -> datetime.datetime | None:
    return value if isinstance(value, datetime.datetime) else None
