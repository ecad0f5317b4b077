"""What a table's file tells of each run beside the columns of the table, found while it is written.

`stats` has nothing to look up in it then, nor has another program that reads the file.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from raytrace_analyze.decode.column_types import EARLIEST_NS
from raytrace_analyze.names.attributes import CANCELLED, told
from raytrace_analyze.names.path_attributes import asked_attributes
from raytrace_analyze.schema import FILE, FROM_EVENTS, NEEDED, TABLE
from raytrace_analyze.table.lineage import (
    Flags,
    RowIds,
    cut_circles,
    first_of_each,
    flags,
    hash_of_pair,
    parent_rows,
    run_flags,
)
from raytrace_analyze.table.runs.numbered import join_tasks, next_attempts
from raytrace_analyze.table.runs.orderly import Order, are_in_order, order_of
from raytrace_analyze.table.runs.run_times import add_times, cpu_ns
from raytrace_analyze.vocabulary.spans import Times

_ROWS = 65_536
"""About how many rows are looked at together: what is looked up in them stays in the processor's caches."""
_ADDED = [name for name in FILE if name not in TABLE]
_OF_SPANS = (
    *("trace_id", "span_id", "parent_id", "name", "kind", "category", "start", "end", "session", "function"),
    *("task_id", "actor_id", "node_id", "submitted_task_id", "dependency_task_ids", "ready_task_ids"),
    *("attempt", "host"),
)


class RunColumns:
    """Adds the columns of `schema.FILE` to a table that comes in parts, and tells in the end what they are good for."""

    def __init__(self) -> None:
        self._is_plain = True
        self._orders: list[Order] = []

    def added(self, table: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Give a part of the table (columns of `schema.TABLE`, whole traces that lie together), in pieces."""
        for piece in _pieces(table):
            found = _look_into(piece)
            self._is_plain &= found.is_plain
            self._orders.append(found.order)
            yield found.rows

    @property
    def times(self) -> Times:
        """What the columns are good for, of what was added by now."""
        known = pl.concat([order.known for order in self._orders]) if self._orders else pl.Series([], dtype=pl.UInt64)
        # Of a task in several traces it would take more than one of them to tell which attempt was the next.
        if not self._is_plain or known.n_unique() < known.len():
            return Times.UNKNOWN
        return Times.ORDERED if are_in_order(self._orders) else Times.AS_TOLD


class _Found(NamedTuple):
    rows: pl.DataFrame
    is_plain: bool
    """Whether runs and their submits alone tell how long they took."""
    order: Order


def _pieces(table: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut a table between traces, where it is large."""
    trace = table.get_column("trace_id")
    first = 0
    while table.height - first > _ROWS:
        rest = trace[first + _ROWS - 1 :]
        change = (rest != rest[0]).arg_max() or 0
        if not change:
            break
        yield table[first : first + _ROWS - 1 + change]
        first += _ROWS - 1 + change
    yield table[first:]


def _look_into(table: pl.DataFrame) -> _Found:
    is_span = ~flags(table.get_column(FROM_EVENTS))
    place = np.flatnonzero(is_span)
    spans = table.select(_OF_SPANS)
    spans = spans if is_span.all() else spans[place]
    known = parent_rows(spans)
    lacks_parent = spans.get_column("parent_id").is_not_null().to_numpy() & (known < 0)
    parent, _ = cut_circles(known, spans.get_column("start").to_physical().to_numpy(), spans.get_column("span_id"))
    is_run = run_flags(spans.get_column("kind"), parent)
    rows = np.flatnonzero(is_run)
    attributes = table.get_column("attributes").gather(place[rows])
    runs = _with_submits(spans, rows, parent).with_columns(cpu_ns=cpu_ns(attributes))
    earlier, later, are_known = _attempts(runs)
    timed = add_times(runs, earlier, later)
    is_plain = (
        are_known
        and _has_plain_times(table)
        # When a submit ended that never did only its process tells.
        and not runs.get_column("submit_open").any()
        and bool(((spans.get_column("category") == "task").to_numpy() == is_run).all())
    )
    columns = {name: _at(place[rows], timed.get_column(name), table.height) for name in _ADDED if name in timed}
    columns["is_cancelled"] = _at(place[rows], told(attributes, CANCELLED) == "true", table.height)
    columns["lacks_parent"] = _at(place, pl.Series(lacks_parent), table.height)
    columns["parent_place"] = _parent_place(table, place, known)
    columns["path_attributes"] = asked_attributes(table.get_column("attributes"))
    filled = table.select(TABLE.names()).with_columns(
        columns[name].fill_null(False).alias(name) if dtype == pl.Boolean else columns[name].alias(name)
        for name, dtype in FILE.items()
        if name in columns
    )
    return _Found(filled, is_plain, order_of(spans, timed, earlier, later))


def _parent_place(table: pl.DataFrame, place: RowIds, parent: RowIds) -> pl.Series:
    """Give the column of that name; `place` is where the spans are in the table, `parent` by their positions there."""
    first = first_of_each(table.get_column("trace_id"))
    child = place[parent >= 0]
    above = place[parent[parent >= 0]] - first[child]
    return _at(child, pl.Series(above, dtype=pl.Int32), table.height)


def _with_submits(spans: pl.DataFrame, rows: RowIds, parent: RowIds) -> pl.DataFrame:
    """Give runs with what tells how long they waited, and numbers of their submits, tasks and actors."""
    above = pl.Series(parent[rows]).replace(-1, None)
    submits = spans.select(pl.col("trace_id", "span_id", "session", "submitted_task_id", "start", "end").gather(above))
    submits = submits.select(
        submit=_hash_or_null("trace_id", "span_id"),
        submit_start=pl.col("start").to_physical(),
        submit_end=pl.col("end").to_physical(),
        submit_open=pl.col("start").is_not_null() & pl.col("end").is_null(),
        submit_task=_hash_or_null("session", "submitted_task_id"),
    )
    of_run = spans.select("session", "task_id", "actor_id", "function", "host", "start", "end", "attempt")[rows]
    return of_run.hstack(submits).with_columns(
        actor=hash_of_pair("session", "actor_id"),
        task=pl.coalesce(_hash_or_null("session", "task_id"), "submit_task"),
        end_ns=pl.col("end").to_physical(),
    )


def _has_plain_times(table: pl.DataFrame) -> bool:
    """Tell whether times and ids are as `merge` writes them: nothing lacks, nothing ends before it starts."""
    if any(table.get_column(name).null_count() for name in NEEDED):
        return False
    told = table.select(
        early=(pl.min_horizontal(pl.col("start", "end").to_physical().min()) < EARLIEST_NS).fill_null(False),
        backwards=(pl.col("end") < pl.col("start")).any(),
    )
    return not any(told.row(0))


def _at(rows: RowIds, values: pl.Series, height: int) -> pl.Series:
    """Give values their places in a column, null in others."""
    return pl.Series([None], dtype=values.dtype).new_from_index(0, height).scatter(rows, values)


def _hash_or_null(first: str, second: str) -> pl.Expr:
    return pl.when(pl.col(second).is_not_null()).then(hash_of_pair(first, second))


def _attempts(runs: pl.DataFrame) -> tuple[RowIds, RowIds, bool]:
    """Pair the positions of a task's attempts with the next ones, and tell whether it takes no more to tell these."""
    several = [_is_shared(runs.get_column(name)) for name in ("task", "submit")]
    rows = np.flatnonzero(np.logical_or(*several))
    some = runs.select("task", "submit", "start", "end")[rows]
    task, submit = (_numbered(some.get_column(name)) for name in ("task", "submit"))
    start = some.get_column("start").to_physical().fill_null(0).to_numpy()
    earlier, later = next_attempts(join_tasks(task, int(task.max(initial=-1)) + 1, submit), start)
    # Which of two that began at once was first their ids tell, and when one ended that never did its process.
    is_open = some.get_column("end").is_null().gather(earlier).any()
    return rows[earlier], rows[later], not (start[earlier] == start[later]).any() and not is_open


def _is_shared(keys: pl.Series) -> Flags:
    """Tell the keys that stand there more than once; null is none."""
    known = np.sort(keys.drop_nulls().to_numpy())
    twice = np.unique(known[1:][known[1:] == known[:-1]])
    if twice.size == 0:  # as a rule, and quickly known
        return np.zeros(keys.len(), dtype=np.bool_)
    return flags(keys.is_in(pl.Series(twice).implode()))


def _numbered(keys: pl.Series) -> RowIds:
    """Number distinct keys; -1 for null."""
    number = keys.rank("dense").cast(pl.Int64) - 1
    return number.fill_null(-1).to_numpy()
