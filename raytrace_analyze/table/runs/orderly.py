"""Whether the times of a table are in an order that can be: then no clock is known to be off.

Asked of whole columns, some traces at a time, and stricter than `clocks.happens_before`, which tells by how much a
clock is off: what cannot be there cannot be here, but not the other way round. So "no" only means that it takes a
closer look.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from raytrace_analyze.names.spans import NEXT, creates_actor
from raytrace_analyze.schema import Kind
from raytrace_analyze.table.hosts import number_hosts
from raytrace_analyze.table.lineage import RowIds, hash_of_pair

_PLACE = ("session", "host", "node_id", "category")
_LEFT = pl.Schema({"key": pl.UInt64, "by_one_clock": pl.Boolean})


class Order(NamedTuple):
    """What some whole traces tell of the order of times."""

    by_one_clock: bool
    """Whether it can be, where all hosts of a session have one clock."""
    across_hosts: bool
    """Whether it can be, whatever the clocks of the hosts."""
    places: pl.DataFrame
    """From which hosts are told."""
    known: pl.Series
    """Numbers of the tasks that ran, and of the actors that were created."""
    elsewhere: pl.DataFrame
    """Numbers (`key`) of those that are needed, and are not in these traces; whether that matters `by_one_clock`."""


def order_of(spans: pl.DataFrame, runs: pl.DataFrame, earlier: RowIds, later: RowIds) -> Order:
    """Look at the order of times in some whole traces.

    No run may start before its submit, or after a wait has come back with its result; and what ran on another host has
    ended before its result was there, was taken, was tried again, or was called. Takes spans (columns of
    `schema.TABLE`) and their runs, with `submit_start` (ns), and what numbers their `submit`, `task` and `actor`;
    `earlier` and `later` are the positions of attempts that follow each other.
    """
    places = _places(spans)
    # What never ended, or has only Ray's word for its end, has at least begun.
    ran = runs.select("task", "host", "start", done=pl.coalesce("end", "start")).drop_nulls("task")
    created, calls = _calls(runs)
    needs = [(True, _waits(spans), ran, "task")]
    is_several = _may_be_several(places)
    if is_several:
        needs += [(False, _dependencies(spans, runs), ran, "task"), (False, calls, created, "actor")]
    before_submit = runs.select((pl.col("start").to_physical() < pl.col("submit_start")).any()).item()
    one, across = not before_submit, not before_submit and _attempts_in_order(runs, earlier, later)
    elsewhere = [_LEFT.to_frame()]
    for by_one_clock, wanted, there, key in needs:
        found = wanted.join(there, on=key, how="left")
        lost = found.filter(pl.col("start").is_null()).select(pl.col(key).unique().alias("key"))
        elsewhere.append(lost.with_columns(by_one_clock=pl.lit(by_one_clock)))
        wrong = found.select(one=_is_wrong(across_hosts=False).any(), across=_is_wrong(across_hosts=is_several).any())
        one = one and not (by_one_clock and wrong.item(0, "one"))
        across = across and not wrong.item(0, "across")
    known = pl.concat([ran.get_column("task").unique(), created.get_column("actor").alias("task")])
    return Order(one, across, places, known, pl.concat(elsewhere))


def are_in_order(parts: list[Order]) -> bool:
    """Tell whether the order of times can be, in all of a table, of which these are the parts."""
    if not parts:
        return True
    hosts = number_hosts(pl.concat([part.places for part in parts]).unique())
    across = not hosts.table.get_column("session").is_unique().all()
    if not all(part.across_hosts if across else part.by_one_clock for part in parts):
        return False
    elsewhere = pl.concat([part.elsewhere for part in parts])
    wanted = (elsewhere if across else elsewhere.filter("by_one_clock")).get_column("key").unique()
    return wanted.is_empty() or not any(wanted.is_in(part.known.implode()).any() for part in parts)


def _places(spans: pl.DataFrame) -> pl.DataFrame:
    # Hashes of texts are told apart in a third of the time.
    mixed = [pl.col(name).hash(seed) for seed, name in enumerate(_PLACE)]
    first = spans.select(pl.reduce(lambda one, other: one ^ other, mixed).arg_unique()).to_series()
    return spans.select(_PLACE)[first]


def _may_be_several(places: pl.DataFrame) -> bool:
    hosts = places.get_column("host")
    return hosts.n_unique() > 1 or bool(hosts.null_count())


def _is_wrong(across_hosts: bool) -> pl.Expr:
    """Tell what had not begun, or on another host had not been `done`, when something that needs it was `back`."""
    wrong = pl.col("start") > pl.col("back")
    if not across_hosts:
        return wrong
    apart = (pl.col("host") != pl.col("host_of_other")).fill_null(True)
    return wrong | (apart & ~pl.col("streams") & (pl.col("done") > pl.col("back")))


def _waits(spans: pl.DataFrame) -> pl.DataFrame:
    waits = spans.lazy().filter(pl.col("ready_task_ids").list.len() > 0, pl.col("kind") != pl.lit("CONSUMER", Kind))
    return (
        waits.select(
            "session",
            task_id="ready_task_ids",
            back="end",
            host_of_other="host",
            streams=pl.col("name") == NEXT,  # a generator goes on after it gave a result
        )
        .explode("task_id")
        .select("back", "host_of_other", "streams", task=hash_of_pair("session", "task_id"))
        .collect()
    )


def _dependencies(spans: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    named = (
        spans.lazy()
        .filter(pl.col("dependency_task_ids").list.len() > 0)
        .select("session", submit=hash_of_pair("trace_id", "span_id"), task_id="dependency_task_ids")
        .explode("task_id")
        .select("submit", task=hash_of_pair("session", "task_id"))
    )
    takers = runs.lazy().select("submit", back="start", host_of_other="host", streams=pl.lit(False))
    return named.join(takers.drop_nulls("submit"), on="submit").drop("submit").collect()


def _calls(runs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the first creation of each actor, and the calls of actors."""
    on_actors = runs.filter(pl.col("actor_id").is_not_null())
    creates = creates_actor(pl.col("function")).fill_null(False)
    first = on_actors.filter(creates).sort("start").unique("actor", keep="first", maintain_order=True)
    created = first.select("actor", "host", "start", done=pl.coalesce("end", "start"))
    calls = on_actors.filter(~creates).select("actor", back="start", host_of_other="host", streams=pl.lit(False))
    return created, calls


def _attempts_in_order(runs: pl.DataFrame, earlier: RowIds, later: RowIds) -> bool:
    first, second = (runs.select("start", "end", "attempt")[rows] for rows in (earlier, later))
    over = (first.get_column("end") <= second.get_column("start")).fill_null(False)
    follows = (first.get_column("attempt") < second.get_column("attempt")).fill_null(True)
    return bool(np.asarray(over & follows).all())
