"""Ray's task events of a table that is on disk: which run each belongs to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import polars as pl

from raytrace_analyze.table.attempts import (
    nearest_runs,
    put_in_rows,
    runs_of_events,
    told_events,
    with_event_columns,
    without_run,
)
from raytrace_analyze.table.event_rows import first_submits, rows_of_attempts, submits_of
from raytrace_analyze.table.file_order import trace_keys
from raytrace_analyze.table.parts import distinct

Spans = Callable[[], Iterator[pl.DataFrame]]
"""Gives finished spans (without the texts that nothing is told from) some whole traces at a time."""


@dataclass(frozen=True)
class EventsOfRuns:
    """Task events, which are in memory whole, and the runs that they are of."""

    told: pl.DataFrame
    pairs: pl.DataFrame
    alone: pl.DataFrame
    """Those of attempts without a run."""
    _submits: list[pl.DataFrame] = field(default_factory=list)
    _keys: list[pl.DataFrame] = field(default_factory=list)

    def put_into(self, spans: pl.DataFrame) -> pl.DataFrame:
        """Give finished spans as rows of the table; `rows_alone` then gives those that are in no part of it."""
        rows = put_in_rows(spans, self.told, self.pairs)
        submits = submits_of(self.alone, spans)
        self._submits.append(submits)
        self._keys.append(trace_keys(rows).join(submits, on="trace_id", how="semi"))
        return rows

    def rows_alone(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Give the rows of attempts without a run, and their traces' keys (see `file_order`)."""
        rows = rows_of_attempts(self.alone, first_submits(self._submits))
        known = pl.concat(self._keys)
        return rows, pl.concat([known, trace_keys(rows).join(known, on="trace_id", how="anti")])


def find_runs(spans: Spans, events: pl.DataFrame) -> EventsOfRuns | None:
    """Pair task events (columns of `TASK_EVENTS`, one row an attempt) with runs; None where there are no events."""
    if events.is_empty():
        return None
    told = told_events(events, distinct([part.select("node_id", "session").unique() for part in spans()]))
    pairs = nearest_runs([runs_of_events(part, told) for part in spans()])
    return EventsOfRuns(told, pairs, without_run(told, pairs))


def as_rows(spans: pl.DataFrame, events: EventsOfRuns | None) -> pl.DataFrame:
    """Give finished spans as rows of the table (columns of `schema.TABLE`)."""
    return with_event_columns(spans) if events is None else events.put_into(spans)
