"""Whether the times of a large table are in an order that can be: then no clock is known to be off.

Asked of whole columns, and stricter than `clocks.happens_before`, which tells by how much a clock is off: what cannot
be there cannot be here, but not the other way round. So "no" only means that it takes a closer look.
"""

import polars as pl

from raytrace_analyze.clocks.hosts import number_hosts
from raytrace_analyze.names.spans import NEXT, creates_actor
from raytrace_analyze.schema import Kind
from raytrace_analyze.table.lineage import RowIds, hash_of_pair


def several_hosts(spans: pl.LazyFrame) -> bool:
    """Tell whether some session has several hosts."""
    places = spans.select("session", "host", "node_id", "category").unique().collect(engine="streaming")
    return not number_hosts(places).table.get_column("session").is_unique().all()


def is_orderly(spans: pl.LazyFrame, runs: pl.DataFrame, *, across_hosts: bool, earlier: RowIds, later: RowIds) -> bool:
    """Tell whether no run starts before its submit, or after a wait has come back with its result.

    With `across_hosts`, also whether what ran on another host had ended before its result was there, was taken, was
    tried again, or was called. Takes runs with the columns of the table, `submit_start` (ns), and what numbers their
    `submit`, `task` and `actor`; `earlier` and `later` are the positions of attempts that follow each other.
    """
    if runs.select((pl.col("start").to_physical() < pl.col("submit_start")).any()).item():
        return False
    if across_hosts and not _attempts_in_order(runs, earlier, later):
        return False
    # What never ended, or has only Ray's word for its end, has at least begun.
    ran = runs.lazy().select("task", "host", "start", done=pl.coalesce("end", "start"))
    known = ran.drop_nulls("task")
    checks = [_waits(spans).join(known, on="task").filter(_is_wrong(across_hosts))]
    if across_hosts:
        taken = _dependencies(spans, runs).join(known, on="task")
        checks += [
            taken.filter(_is_wrong(across_hosts)),
            _calls(runs).filter(_is_wrong(across_hosts)),
        ]
    return all(check.collect(engine="streaming").is_empty() for check in checks)


def _is_wrong(across_hosts: bool) -> pl.Expr:
    """Tell what had not begun, or on another host had not been `done`, when something that needs it was `back`."""
    wrong = pl.col("start") > pl.col("back")
    if not across_hosts:
        return wrong
    apart = (pl.col("host") != pl.col("host_of_other")).fill_null(True)
    return wrong | (apart & ~pl.col("streams") & (pl.col("done") > pl.col("back")))


def _waits(spans: pl.LazyFrame) -> pl.LazyFrame:
    waits = spans.filter(pl.col("ready_task_ids").list.len() > 0, pl.col("kind") != pl.lit("CONSUMER", Kind))
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
    )


def _dependencies(spans: pl.LazyFrame, runs: pl.DataFrame) -> pl.LazyFrame:
    named = spans.filter(pl.col("dependency_task_ids").list.len() > 0).select(
        "session", submit=hash_of_pair("trace_id", "span_id"), task_id="dependency_task_ids"
    )
    taken = named.explode("task_id").select("submit", task=hash_of_pair("session", "task_id"))
    takers = runs.lazy().select("submit", back="start", host_of_other="host", streams=pl.lit(False))
    return taken.join(takers.drop_nulls("submit"), on="submit").drop("submit")


def _calls(runs: pl.DataFrame) -> pl.LazyFrame:
    """Pair calls of actors with the first creation of these."""
    on_actors = runs.lazy().filter(pl.col("actor_id").is_not_null())
    creates = creates_actor(pl.col("function")).fill_null(False)
    first = on_actors.filter(creates).sort("start").unique("actor", keep="first", maintain_order=True)
    created = first.select("actor", "host", "start", done=pl.coalesce("end", "start"))
    calls = on_actors.filter(~creates).select("actor", back="start", host_of_other="host", streams=pl.lit(False))
    return calls.join(created, on="actor")


def _attempts_in_order(runs: pl.DataFrame, earlier: RowIds, later: RowIds) -> bool:
    first, second = (runs.select("start", "end", "attempt")[rows] for rows in (earlier, later))
    over = (first.get_column("end") <= second.get_column("start")).fill_null(False)
    follows = (first.get_column("attempt") < second.get_column("attempt")).fill_null(True)
    return bool((over & follows).all())
