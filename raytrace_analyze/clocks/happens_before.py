"""What must come first, whatever the clocks say: pairs of events on two hosts, one of which needs the other.

A run cannot start before its submit did, nor before the runs whose results it takes, the attempt before it and the
creation of its actor have ended; a wait cannot come back before the run whose result it came back with has ended.
Only what is sure counts: of several attempts the one that gave the result; of a generator, whose items come while
it runs, and of a run whose end is not known or not its own word, the start.
"""

import numpy as np
import polars as pl

from raytrace_analyze.names.spans import NEXT, creates_actor
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.numbering import number_tasks
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import Precedence

RELATIONS = tuple(Precedence)
"""A relation's number in arrays is its position here."""

_CLOSED_BY_RAY = r"^[A-Z][A-Z_]+(: |$)"
"""How the message begins of a run whose end is Ray's word: by its own, an exception's name has small letters."""
_RUN_OUT = "GetTimeoutError"
"""What is ready when a wait runs out of time is asked only after its end."""


@frozen
class Pairs:
    """Two events each, the first of which must come before the second; parallel arrays."""

    first: RowIds
    """Row of the span that the first event belongs to."""
    second: RowIds
    slack: RowIds
    """Second less first in ns: negative where the recorded times cannot be."""
    likely: RowIds
    """The same for what is usual, though not certain: a run starts after its submit has ended."""
    relation: Precedence


def must_precede(structure: Structure, host: RowIds) -> pl.DataFrame:
    """Sum up by pair of hosts what must come first; `host` is the number of each row's host.

    Columns: `first_host`, `second_host`; `slack_ns`, `likely_ns`, the least of all pairs of events; `violations`, how
    many of them cannot be; `first`, `second` and `relation` (a number of `RELATIONS`) of the one with the least slack.
    """
    found = [
        _between_hosts(pairs, host)
        for pairs in (
            _submits(structure),
            *_results_taken(structure, host),
            _attempts(structure),
            _creations(structure),
        )
        if pairs is not None
    ]
    worst = pl.col("slack_ns").arg_min()
    return (
        pl.concat(found)
        .group_by("first_host", "second_host")
        .agg(
            pl.col("slack_ns", "likely_ns").min(),
            pl.col("first", "second", "relation").get(worst),
            violations=(pl.col("slack_ns") < 0).sum().cast(pl.Int64),
        )
        .sort("first_host", "second_host")
    )


def label_event(spans: pl.DataFrame, row: int) -> str:
    """Name the span that an event belongs to: a wait by its call, others by their function."""
    function, full_name, category = spans.select("function", "name", "category").row(row)
    return str(full_name if category == "wait" or not function else function)


def _between_hosts(pairs: Pairs, host: RowIds) -> pl.DataFrame:
    apart = np.flatnonzero(host[pairs.first] != host[pairs.second])
    first, second = pairs.first[apart], pairs.second[apart]
    return pl.DataFrame(
        {
            "first_host": host[first],
            "second_host": host[second],
            "first": first,
            "second": second,
            "slack_ns": pairs.slack[apart],
            "likely_ns": np.minimum(pairs.likely[apart], pairs.slack[apart]),
            "relation": np.full(apart.size, RELATIONS.index(pairs.relation), dtype=np.int8),
        }
    )


def _pairs(first: RowIds, first_ns: Nanos, second: RowIds, second_ns: Nanos, relation: Precedence) -> Pairs:
    slack = second_ns - first_ns
    return Pairs(first, second, slack, slack, relation)


def _submits(structure: Structure) -> Pairs:
    runs = np.flatnonzero(structure.submit >= 0)
    submits = structure.submit[runs]
    begin, end = structure.start[submits], structure.end[submits]
    usual = np.where(structure.in_flight[submits], begin, end)
    start = structure.start[runs]
    return Pairs(submits, runs, start - begin, start - usual, Precedence.SUBMIT)


def _results_taken(structure: Structure, host: RowIds) -> list[Pairs]:
    """Pair runs with the waits that came back with their results, and with the runs that took them."""
    spans = structure.spans
    ran_out = (pl.col("status") == "ERROR") & pl.col("status_message").str.starts_with(_RUN_OUT)
    is_over = pl.col("end").is_not_null() & ~ran_out.fill_null(False)
    lists = {
        name: spans.get_column(name).list.len().fill_null(0).sum() for name in ("ready_task_ids", "dependency_task_ids")
    }
    if not any(lists.values()):
        return []
    results = _results(structure)
    done = _surely_over(structure)
    waits, waited = _naming(structure, results, "ready_task_ids", is_over)
    streamed = _streamed(structure, waits, waited, host, done)
    done = np.where(streamed, structure.start, done)
    found = [_pairs(waited, done[waited], waits, structure.end[waits], Precedence.WAIT)]
    if lists["dependency_task_ids"]:
        submits, taken = _naming(structure, results, "dependency_task_ids", pl.lit(True))
        found.append(_dependants(structure, submits, taken, done))
    return found


def _dependants(structure: Structure, submits: RowIds, taken: RowIds, done: Nanos) -> Pairs:
    runs = np.flatnonzero(structure.submit >= 0)
    of_submit = pl.DataFrame({"submit": structure.submit[runs], "run": runs})
    pairs = pl.DataFrame({"submit": submits, "taken": taken}).join(of_submit, on="submit")
    first, second = pairs.get_column("taken").to_numpy(), pairs.get_column("run").to_numpy()
    return _pairs(first, done[first], second, structure.start[second], Precedence.DEPENDENCY)


def _results(structure: Structure) -> pl.DataFrame:
    """Give for each task (`session`, `task_id`) the one run (`run`) that its result came from, where that is clear.

    That is the first attempt that ended well, else the last one there was.
    """
    runs = structure.spans.select(
        "session", structure.run_task, "attempt", run=pl.int_range(pl.len(), dtype=pl.Int64),
        failed=pl.Series(structure.in_flight) | (pl.col("status") == "ERROR"),
    ).filter(pl.col("task_id").is_not_null())  # fmt: skip
    task = ("session", "task_id")
    once = pl.struct(task).is_unique()
    if runs.select(once.all()).item():
        return runs.select(*task, "run")
    several = runs.filter(~once)
    clear = pl.struct(*task, "attempt").is_unique().all().over(task) & pl.col("attempt").is_not_null().all().over(task)
    order = pl.when("failed").then(-pl.col("attempt")).otherwise("attempt")
    found = several.filter(clear).sort("failed", order).unique(task, keep="first", maintain_order=True)
    return pl.concat([runs.filter(once), found]).select(*task, "run")


def _surely_over(structure: Structure) -> RowIds:
    """Give for each span the latest time by which it was surely not over yet, on its own clock: its end, mostly."""
    spans = structure.spans
    message = pl.col("status_message").str.contains(_CLOSED_BY_RAY)
    by_ray = spans.select(((pl.col("status") == "ERROR") & message).fill_null(False)).to_series().to_numpy()
    is_own_end = ~structure.in_flight & ~by_ray
    return np.where(is_own_end, np.maximum(structure.end, structure.start), structure.start)


def _naming(structure: Structure, results: pl.DataFrame, column: str, wanted: pl.Expr) -> tuple[RowIds, RowIds]:
    """Pair the rows that list a task with the run that gave its result."""
    named = (
        structure.spans.select("session", "status", "status_message", "end", pl.col(column).alias("task_id"))
        .with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
        .filter(wanted, pl.col("task_id").list.len() > 0)
        .select("session", "task_id", "row")
        .explode("task_id")
        .join(results, on=["session", "task_id"], nulls_equal=True)
    )
    return named.get_column("row").to_numpy(), named.get_column("run").to_numpy()


def _streamed(structure: Structure, waits: RowIds, waited: RowIds, host: RowIds, done: Nanos) -> Flags:
    """Tell the runs of functions that give results while they run: generators.

    Those that somebody iterates over, and those that one clock saw a wait come back from before they were over.
    """
    spans = structure.spans
    is_next = (spans.get_column("name") == NEXT).to_numpy()[waits]
    too_early = (host[waits] == host[waited]) & (structure.end[waits] < done[waited])
    of = ["session", "function"]
    functions = spans.select(of)[waited[is_next | too_early]].unique()
    if functions.is_empty():
        return np.zeros(spans.height, dtype=np.bool_)
    marked = functions.with_columns(streamed=True)
    found = spans.select(of).join(marked, on=of, how="left", nulls_equal=True, maintain_order="left")
    return found.get_column("streamed").fill_null(False).to_numpy() & structure.is_run


def _attempts(structure: Structure) -> Pairs | None:
    """Pair each attempt of a task with the next one."""
    if not (structure.spans.get_column("attempt") > 0).any():
        return None
    task = pl.Series("task", number_tasks(structure))
    runs = (
        structure.spans.select(task, "attempt", run=pl.int_range(pl.len(), dtype=pl.Int64))
        .filter(pl.col("task") >= 0, (pl.col("attempt") > 0).any().over("task"))
        .sort("task", "attempt", "run")
        .with_columns(
            before=pl.when(pl.col("attempt").diff().over("task") > 0).then(pl.col("run").shift().over("task"))
        )
        .drop_nulls("before")
    )
    first, second = runs.get_column("before").to_numpy(), runs.get_column("run").to_numpy()
    return _pairs(first, _surely_over(structure)[first], second, structure.start[second], Precedence.ATTEMPT)


def _creations(structure: Structure) -> Pairs | None:
    """Pair each actor's first creation with the runs on it, where attempts were recorded and it is clear."""
    actor = ("session", "actor_id")
    runs = structure.spans.select(
        *(*actor, "attempt"),
        run=pl.int_range(pl.len(), dtype=pl.Int64),
        creates=creates_actor(pl.col("function")).fill_null(False),
        ended=~pl.Series(structure.in_flight) & (pl.col("status") != "ERROR"),
    ).filter(pl.Series(structure.is_run), pl.col("actor_id").is_not_null(), pl.col("attempt").is_not_null())
    if runs.is_empty():
        return None
    first_attempt = pl.col("attempt") == pl.col("attempt").min().over(actor)
    created = runs.filter("creates").filter(first_attempt).unique(actor, keep="none").filter("ended")
    methods = runs.filter(~pl.col("creates"))
    pairs = methods.join(created.select(*actor, creation="run"), on=actor, nulls_equal=True)
    first, second = pairs.get_column("creation").to_numpy(), pairs.get_column("run").to_numpy()
    return _pairs(first, _surely_over(structure)[first], second, structure.start[second], Precedence.CREATION)
