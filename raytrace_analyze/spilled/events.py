"""Ray's task events of a table that is in buckets: which run each belongs to."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import polars as pl

from raytrace_analyze.table.events.attempts import (
    nearest_runs,
    put_in_rows,
    runs_of_events,
    told_events,
    without_run,
)
from raytrace_analyze.table.events.rows import first_submits, rows_of_attempts, submits_of
from raytrace_analyze.table.file.order import trace_keys
from raytrace_analyze.table.parts import Told, distinct
from raytrace_analyze.values import frozen


class Spans(Protocol):
    """Finished spans (without the texts that nothing is told from) some whole traces at a time; see `table.parts`."""

    def __call__(self, ask: Callable[[pl.DataFrame], Told]) -> Iterator[Told]:
        """Give what `ask` tells of each part, in the order of the parts."""


class ToldOfAlone(NamedTuple):
    """What a part of the table tells of attempts without a run: rows that are in no part."""

    submits: pl.DataFrame
    keys: pl.DataFrame
    """Of the traces of these submits; see `file_order`."""


@frozen
class EventsOfRuns:
    """Task events, which are in memory whole, and the runs that they are of."""

    told: pl.DataFrame
    pairs: pl.DataFrame
    alone: pl.DataFrame
    """Those of attempts without a run."""

    def put_into(self, spans: pl.DataFrame) -> tuple[pl.DataFrame, ToldOfAlone]:
        """Give finished spans of a part as rows of the table, and what they tell of those that are in no part."""
        rows = put_in_rows(spans, self.told, self.pairs)
        submits = submits_of(self.alone, spans)
        return rows, ToldOfAlone(submits, trace_keys(rows).join(submits, on="trace_id", how="semi"))

    def rows_alone(self, told: Sequence[ToldOfAlone]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Give the rows of attempts without a run, by what all parts tell, and their traces' keys."""
        rows = rows_of_attempts(self.alone, first_submits([part.submits for part in told]))
        known = pl.concat([part.keys for part in told])
        return rows, pl.concat([known, trace_keys(rows).join(known, on="trace_id", how="anti")])


def find_runs(spans: Spans, events: pl.DataFrame) -> EventsOfRuns | None:
    """Pair task events (columns of `TASK_EVENTS`, one row an attempt) with runs; None where there are no events."""
    if events.is_empty():
        return None
    told = told_events(events, distinct(list(spans(_nodes_in))))
    pairs = nearest_runs(list(spans(partial(runs_of_events, told=told))))
    return EventsOfRuns(told, pairs, without_run(told, pairs))


def _nodes_in(spans: pl.DataFrame) -> pl.DataFrame:
    return spans.select("node_id", "session").unique()
