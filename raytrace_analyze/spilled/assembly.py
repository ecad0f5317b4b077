"""From decoded spans on disk to the finished table on disk: as `table.assemble` does, a bucket of traces at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from raytrace_analyze.model import Problem, Progress
from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.buckets import Buckets
from raytrace_analyze.spilled.events import as_rows, find_runs
from raytrace_analyze.spilled.ordered import Ordered, Sample
from raytrace_analyze.table.begun import Begun, begin
from raytrace_analyze.table.file_order import trace_keys
from raytrace_analyze.table.inherit import inherit
from raytrace_analyze.table.noticed import (
    backwards,
    backwards_problems,
    contradiction_problems,
    orphan_problems,
    orphans,
)
from raytrace_analyze.table.operators import find_operators
from raytrace_analyze.table.sessions import find_sessions, sessions_of
from raytrace_analyze.table.surroundings import find_surroundings
from raytrace_analyze.table.task_events import close_attempts
from raytrace_analyze.table.totals import Totals, added_up, count_up

_TEXTS = ("attributes", "events", "links", "resource", "dependency_task_ids")
"""What takes most memory, and tells nothing of other spans, but for attributes in programs of Ray Data."""
_NOTICED = ("start", "end", "trace_id", "span_id", "name", "source")
_SURROUNDINGS, _FINISHED = 0.3, 1.0


@dataclass(frozen=True)
class LargeTable:
    """A finished table on disk."""

    totals: Totals
    noticed: tuple[Problem, ...]
    """Copies that contradict each other, spans that end before they start, and parents that are missing."""
    parts: Callable[[], Iterator[pl.DataFrame]]
    """Gives it part by part in the order of its file (columns of `schema.TABLE`), once."""
    count: int
    """How many parts there are."""


def put_together(buckets: Buckets, events: pl.DataFrame, folder: Path, progress: Progress) -> LargeTable:
    """Make the span table of decoded records on disk, with what task events add to them.

    The same table as `assemble` makes in memory. It is in files of `folder` then. Raises ScratchError.
    """
    differing = buckets.deduplicate()
    changed = [backwards(part) for part in buckets.recorded(_NOTICED)]
    sessions = find_sessions(buckets.parts)

    def with_session(columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        told = ("trace_id", "node_id", "session", "source", "start")
        for part in buckets.parts(tuple(dict.fromkeys([*columns, *told]))):
            yield part.with_columns(session=sessions_of(part, sessions)).select(columns)

    operators = find_operators(with_session)
    left_out = _TEXTS if operators.is_empty() else _TEXTS[1:]
    slim = tuple(name for name in DECODED if name not in left_out)

    def begun(columns: Sequence[str]) -> Iterator[Begun]:
        for part in with_session(columns):
            yield begin(close_attempts(part, events), operators)

    sample = Sample()
    surroundings = find_surroundings(lambda: sample.seeing(begun(slim)))
    of_runs = find_runs(lambda: (inherit(part, surroundings) for part in begun(slim)), events)
    progress(_SURROUNDINGS)
    ordered = Ordered(folder, sample.cuts(buckets.count))
    lost, totals = [], []
    for number, part in enumerate(begun(DECODED.names())):
        spans = inherit(part, surroundings)
        lost.append(orphans(spans))
        rows = as_rows(spans, of_runs)
        totals.append(count_up(rows))
        ordered.add(rows, trace_keys(rows))
        progress(_SURROUNDINGS + (_FINISHED - _SURROUNDINGS) * (number + 1) / buckets.count)
    if of_runs is not None:
        alone, keys = of_runs.rows_alone()
        totals.append(count_up(alone))
        ordered.add(alone, keys)
    noticed = (*contradiction_problems(differing), *backwards_problems(changed), *orphan_problems(lost))
    return LargeTable(added_up(totals), noticed, ordered.parts, len(ordered))
