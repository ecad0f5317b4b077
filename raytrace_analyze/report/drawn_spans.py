"""The spans that the timeline draws: all of a job, or of a large one the path, the slowest and the rest summed up."""

import numpy as np
import polars as pl

from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.schema import FROM_EVENTS, PROCESS
from raytrace_analyze.values import frozen

MOST_DRAWN = 100_000
"""How many spans a page draws one by one."""
_FINENESS: tuple[tuple[int, tuple[str, ...]], ...] = (
    *((stretches, PROCESS) for stretches in (1_000, 300, 100, 30, 10, 3, 1)),
    *((stretches, ("session", "node_id")) for stretches in (100, 1)),
)
"""How spans are summed up, finest first: into how many stretches of the job, and by which places."""

DRAWN = pl.Schema(
    {
        "row": pl.Int64,
        "start_ns": pl.Int64,
        "end_ns": pl.Int64,
        "name": pl.String,
        "function": pl.String,
        "category": pl.String,
        "is_error": pl.Boolean,
        "in_flight": pl.Boolean,
        "on_path": pl.Boolean,
        "from_events": pl.Boolean,
        "queue_ns": pl.Int64,
        "queue_cause": pl.String,
        "spans": pl.Int64,
        "process": pl.Int64,
        "parent": pl.Int64,
    }
)
"""Columns of `DrawnSpans.frame`, in order of start, of those that start together the longest first. `row` is the row
of `trace.spans` (null: not one span of it), `queue_ns` how long before its start it began to wait (0: not, or nobody
knows), `queue_cause` for what most of that, `spans` how many are summed up in this one (1: it is itself), `process` a
number from 1 on, `parent` a position in this frame (-1: none)."""


@frozen
class DrawnSpans:
    """What the timeline draws."""

    frame: pl.DataFrame
    """Columns of `DRAWN`."""
    processes: pl.DataFrame
    """By process: `process`, `node_id`, `host`, `pid`, `actor` (null: none, or several), `actor_function`, `is_driver`,
    `first_ns`."""
    summed_up: int
    """How many spans are not drawn one by one."""


def drawn_spans(facts: ReportFacts, most: int = MOST_DRAWN) -> DrawnSpans:
    """Choose what is drawn of a job: all, or where that is more than `most`, what matters.

    Then the path, what failed and the slowest are drawn in full; the others are summed up by process, function and
    stretch of time.
    """
    table = _known(facts)
    if table.height <= most:
        return _finished(table, 0)
    matters = table.sort(
        "on_path", "is_error", pl.col("end_ns") - pl.col("start_ns"), descending=True, maintain_order=True
    )
    in_full = max(most // 2, int(table.get_column("on_path").sum()))
    full, rest = matters.head(in_full), matters.slice(in_full)
    summed = _summed_up(rest, facts, most - in_full)
    return _finished(pl.concat([full, summed], how="diagonal_relaxed"), rest.height)


def _summed_up(rest: pl.DataFrame, facts: ReportFacts, most: int) -> pl.DataFrame:
    """Sum spans up, the finer the better, into `most` rows as far as there are places to tell apart."""
    for stretches, keys in _FINENESS:
        length = max((facts.path.makespan_ns + stretches - 1) // stretches, 1)
        summed = (
            rest.with_columns(stretch=(pl.col("start_ns") - facts.path.start_ns) // length)
            .group_by(*keys, "function", "category", "stretch", maintain_order=True)
            .agg(
                pl.col("session", "node_id", "pid", "host", "trace_id", "name").exclude(keys).first(),
                pl.col("start_ns").min(),
                pl.col("end_ns").max(),
                pl.col("is_error", "in_flight").any(),
                spans=pl.len().cast(pl.Int64),
            )
        )
        if summed.height <= most:
            break
    return summed.drop("stretch").with_columns(on_path=False, from_events=False, queue_ns=0)


def _known(facts: ReportFacts) -> pl.DataFrame:
    """The job's spans and attempts with what is told of each."""
    structure = facts.trace.structure
    rows = facts.timed.get_column("row")
    on_path = np.zeros(structure.start.size, dtype=np.bool_)
    on_path[facts.path.rows[facts.path.rows >= 0]] = True
    identity = ("trace_id", "span_id", "parent_id", "session", "node_id", "pid", "host", "worker_id", "actor_id")
    spans = facts.timed.select(
        *identity,
        pl.col("row").cast(pl.Int64),
        "name",
        "function",
        pl.col("category").cast(pl.String),
        start_ns=pl.Series(structure.start[rows]),
        end_ns=pl.Series(structure.end[rows]),
        is_error=pl.col("status") == "ERROR",
        in_flight=pl.col("end").is_null(),
        on_path=pl.Series(on_path[rows]),
        from_events=False,
    )
    attempts = facts.attempts.select(
        *identity,
        "name",
        "function",
        pl.col("category").cast(pl.String),
        pl.col(FROM_EVENTS).alias("from_events"),
        start_ns=pl.col("start").to_physical(),
        end_ns=pl.max_horizontal(
            pl.col("end").to_physical().fill_null(facts.path.end_ns), pl.col("start").to_physical()
        ),
        is_error=pl.col("status") == "ERROR",
        in_flight=pl.col("end").is_null(),
        on_path=False,
    )
    queues = (
        facts.queues.sort("duration_ns", descending=True, maintain_order=True)
        .group_by("trace_id", "span_id", maintain_order=True)
        .agg(queue_cause=pl.col("cause").first(), since=pl.col("start_ns").min())
    )
    known = pl.concat([spans, attempts], how="diagonal_relaxed")
    return known.join(queues, on=["trace_id", "span_id"], how="left", maintain_order="left").with_columns(
        queue_ns=(pl.col("start_ns") - pl.col("since")).clip(lower_bound=0).fill_null(0), spans=pl.lit(1, pl.Int64)
    )


def _finished(table: pl.DataFrame, summed_up: int) -> DrawnSpans:
    ordered = table.sort("start_ns", "end_ns", descending=[False, True], maintain_order=True).with_columns(
        process=pl.struct(PROCESS).rank("dense").cast(pl.Int64)
    )
    actors = pl.col("actor_id").filter(pl.col("category") == "task")
    processes = ordered.group_by("process").agg(
        pl.col("node_id", "host", "pid").first(),
        actor=pl.when(actors.n_unique() == 1).then(actors.first()),
        actor_function=pl.col("function").filter(pl.col("actor_id").is_not_null()).first(),
        is_driver=(pl.col("category") == "driver").any(),
        first_ns=pl.col("start_ns").min(),
    )
    places = ordered.select("trace_id", parent_id="span_id").with_row_index("parent")
    parents = ordered.select("trace_id", "parent_id").join(
        places.unique(["trace_id", "parent_id"], keep="first"),
        on=["trace_id", "parent_id"],
        how="left",
        maintain_order="left",
    )
    parent = parents.get_column("parent").cast(pl.Int64).fill_null(-1)
    return DrawnSpans(ordered.with_columns(parent).select(DRAWN.names()).cast(DRAWN), processes, summed_up)
