"""From decoded spans in buckets to the finished table: as `table.assemble` does, a bucket of traces at a time."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import polars as pl

from raytrace_analyze.model import Problem, Progress
from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.events import EventsOfRuns, ToldOfAlone, find_runs
from raytrace_analyze.spilled.ordered import Finished, Ordering, cuts, sample_of
from raytrace_analyze.spilled.scattered import Scattered
from raytrace_analyze.table.events.attempts import with_event_columns
from raytrace_analyze.table.events.task_events import close_attempts
from raytrace_analyze.table.file.order import trace_keys
from raytrace_analyze.table.filled.begun import Begun, begin
from raytrace_analyze.table.filled.inherit import inherit
from raytrace_analyze.table.filled.operators import find_operators
from raytrace_analyze.table.filled.surroundings import Surroundings, ToldByPart, find_surroundings, told_by
from raytrace_analyze.table.noticed import (
    Noticed,
    backwards,
    backwards_problems,
    contradiction_problems,
    orphan_problems,
    orphans,
)
from raytrace_analyze.table.parts import Parts, Told
from raytrace_analyze.table.sessions import COLUMNS, Sessions, find_sessions, sessions_of
from raytrace_analyze.table.totals import Totals, added_up, count_up
from raytrace_analyze.values import frozen

_TEXTS = ("attributes", "events", "links", "resource", "dependency_task_ids")
"""What takes most memory, and tells nothing of other spans, but for attributes in programs of Ray Data."""
_NOTICED = ("start", "end", "trace_id", "span_id", "name", "source")
_SURROUNDINGS, _FINISHED = 0.3, 1.0


@frozen
class LargeTable:
    """A finished table that is not in memory."""

    totals: Totals
    noticed: tuple[Problem, ...]
    """Copies that contradict each other, spans that end before they start, and parents that are missing."""
    parts: Callable[[], Iterator[pl.DataFrame]]
    """Gives it part by part in the order of its file (columns of `schema.TABLE`), once."""
    count: int
    """How many parts there are."""


class _ToldOfPart(NamedTuple):
    """What is told of a finished part."""

    orphans: Noticed
    totals: Totals
    of_alone: ToldOfAlone | None


def put_together(
    buckets: Scattered, events: pl.DataFrame, place: Callable[[Sequence[str]], Ordering], progress: Progress
) -> LargeTable:
    """Make the span table of decoded records in buckets, with what task events add to them.

    The same table as `assemble` makes in memory. It is where `place` puts it then, which is given the keys that cut it
    into parts. Raises OSError.
    """
    differing = buckets.deduplicate()
    changed = list(buckets.recorded(backwards, _NOTICED))
    sessions = find_sessions(buckets.parts)
    operators = find_operators(_with_session(buckets.parts, sessions))
    to_begin = partial(_begun, sessions=sessions, events=events, operators=operators)
    left_out = _TEXTS if operators.is_empty() else _TEXTS[1:]
    slim = tuple(name for name in DECODED if name not in left_out)

    def begun(ask: Callable[[Begun], Told]) -> Iterator[Told]:
        return buckets.parts(partial(_ask_begun, ask=ask, to_begin=to_begin), slim)

    told, samples = zip(*begun(_told_and_sample), strict=True)
    surroundings = find_surroundings(told, begun)

    def inherited(ask: Callable[[pl.DataFrame], Told]) -> Iterator[Told]:
        return begun(partial(_ask_inherited, ask=ask, surroundings=surroundings))

    of_runs = find_runs(inherited, events)
    progress(_SURROUNDINGS)
    ordered = place(cuts(samples, buckets.count))
    finish = partial(_finish, to_begin=to_begin, surroundings=surroundings, of_runs=of_runs)
    finished: list[_ToldOfPart] = []
    for told_of_part in ordered.fill(finish):
        finished.append(told_of_part)
        progress(_SURROUNDINGS + (_FINISHED - _SURROUNDINGS) * len(finished) / buckets.count)
    totals = [part.totals for part in finished]
    if of_runs is not None:
        alone, keys = of_runs.rows_alone([part.of_alone for part in finished if part.of_alone is not None])
        totals.append(count_up(alone))
        ordered.add(alone, keys)
    lost = [part.orphans for part in finished]
    noticed = (*contradiction_problems(differing), *backwards_problems(changed), *orphan_problems(lost))
    return LargeTable(added_up(totals), noticed, ordered.parts, len(ordered))


def _with_session(parts: Parts, sessions: Sessions) -> Parts:
    """Give the parts of a table with a session in every row."""

    def ask_them(ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        needed = tuple(dict.fromkeys([*columns, *COLUMNS]))
        return parts(partial(_ask_with_session, ask=ask, sessions=sessions, columns=columns), needed)

    return ask_them


def _ask_with_session(
    part: pl.DataFrame, ask: Callable[[pl.DataFrame], Told], sessions: Sessions, columns: Sequence[str]
) -> Told:
    return ask(part.with_columns(session=sessions_of(part, sessions)).select(columns))


def _begun(part: pl.DataFrame, sessions: Sessions, events: pl.DataFrame, operators: pl.DataFrame) -> Begun:
    named = part.with_columns(session=sessions_of(part, sessions))
    return begin(close_attempts(named, events), operators)


def _ask_begun(part: pl.DataFrame, ask: Callable[[Begun], Told], to_begin: Callable[[pl.DataFrame], Begun]) -> Told:
    return ask(to_begin(part))


def _told_and_sample(begun: Begun) -> tuple[ToldByPart, pl.DataFrame]:
    return told_by(begun), sample_of(begun.spans)


def _ask_inherited(begun: Begun, ask: Callable[[pl.DataFrame], Told], surroundings: Surroundings) -> Told:
    return ask(inherit(begun, surroundings))


def _finish(
    part: pl.DataFrame,
    to_begin: Callable[[pl.DataFrame], Begun],
    surroundings: Surroundings,
    of_runs: EventsOfRuns | None,
) -> Finished[_ToldOfPart]:
    begun = to_begin(part)
    spans = inherit(begun, surroundings)
    rows, of_alone = (with_event_columns(spans), None) if of_runs is None else of_runs.put_into(spans)
    return Finished(rows, trace_keys(rows), _ToldOfPart(orphans(spans, begun.lacks_parent), count_up(rows), of_alone))
