"""The span graph as a networkx DiGraph, for those who want to go on there."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.groups import Grouped

if TYPE_CHECKING:
    import networkx as nx

_KEPT = (
    *("trace_id", "span_id", "name", "kind", "category", "status", "session", "job_id", "function"),
    *("task_id", "actor_id", "node_id", "worker_id", "attempt", "host", "pid", "error_type", "from_events"),
)


def span_graph(spans: Trace, *, clock_correct: bool = True) -> "nx.DiGraph[str]":
    """Build the graph of a span table (columns of `schema.TABLE`), or of what `prepare` made of one.

    With `clock_correct`, times of hosts whose clocks are proven to be off are shifted first. A node is a span, or an
    attempt that only Ray's task events know (`from_events`), under its span id (`TRACE:SPAN` where two traces use the
    same one), with the attributes `name`, `kind`, `category`, `status`, `session`, `job_id`, `function`, `task_id`,
    `actor_id`, `node_id`, `worker_id`, `attempt`, `host`, `pid`, `error_type`, `from_events`, `trace_id`, `span_id`,
    `start_ns` and `end_ns` (integers; `end_ns` None for a span in flight).

    An edge leads from what came first to what needed it, with the attribute `type`: `child` (parent to nested
    span), `submit` (submit to run), `wait` (run to the wait that came back with its result), `depends` (run to the
    run that took its result as an argument), `attempt` (run to the next attempt of the same task). An attempt without a
    span has its submit only.
    """
    import networkx as nx  # half a second, and exports of the same edges do without

    trace = prepare(spans, clock_correct=clock_correct)
    rows = pl.concat([trace.spans, trace.attempts])
    key = node_keys(rows).to_list()
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(zip(key, _attributes(rows), strict=True))
    for kind, sources, targets in edges(trace):
        pairs = zip(sources.tolist(), targets.tolist(), strict=True)
        graph.add_edges_from(((key[source], key[target]) for source, target in pairs), type=kind)
    return graph


def edges(trace: PreparedTrace) -> Iterator[tuple[str, RowIds, RowIds]]:
    """Give the edges of `span_graph` type by type: the type, the rows that they lead from, those that they lead to.

    Rows count through the spans, then through the attempts without one.
    """
    structure, runs = trace.structure, trace.runs
    nested = np.flatnonzero(structure.nest_parent >= 0)
    yield "child", structure.parent[nested], nested
    submitted = np.flatnonzero(structure.submit >= 0)
    yield "submit", structure.submit[submitted], submitted
    waits, ready = _pairs(runs.ready)
    yield "wait", ready, waits
    yield "depends", *_dependency_edges(runs.dependencies, runs.of_submit)
    yield "attempt", *runs.next_attempts(np.flatnonzero(structure.is_run))
    yield "submit", *_submits_of_attempts(trace)


def node_keys(spans: pl.DataFrame) -> pl.Series:
    """Give the name of each span's node: its span id, with the trace id before it where two traces use the same one."""
    return qualified_keys(spans, spans.get_column("span_id").is_duplicated())


def qualified_keys(spans: pl.DataFrame, shares_id: pl.Series) -> pl.Series:
    """Give the name of each span's node, where it is known which of them share their id with others."""
    qualified = pl.format("{}:{}", "trace_id", "span_id")
    key = pl.when(shares_id).then(qualified).otherwise("span_id")
    return spans.select(key.alias("key")).get_column("key")


def _attributes(spans: pl.DataFrame) -> list[dict[str, Any]]:
    return spans.select(
        *_KEPT,
        start_ns=pl.col("start").to_physical(),
        end_ns=pl.col("end").to_physical(),
    ).to_dicts()


def _pairs(grouped: Grouped) -> tuple[RowIds, RowIds]:
    groups = np.repeat(np.arange(grouped.first.size - 1, dtype=np.int64), np.diff(grouped.first))
    return groups, grouped.members


def _dependency_edges(dependencies: Grouped, attempts: Grouped) -> tuple[RowIds, RowIds]:
    """Pair the runs a submit depends on with the runs that it led to."""
    submit, needed = _pairs(dependencies)
    of_submit, run = _pairs(attempts)
    pairs = pl.DataFrame({"submit": submit, "needed": needed}).join(
        pl.DataFrame({"submit": of_submit, "run": run}), on="submit"
    )
    return pairs.get_column("needed").to_numpy(), pairs.get_column("run").to_numpy()


def _submits_of_attempts(trace: PreparedTrace) -> tuple[RowIds, RowIds]:
    """Pair submits with the attempts without a span that they led to; these are numbered behind the spans."""
    submits = trace.spans.select("trace_id", parent_id="span_id", submit=pl.int_range(pl.len(), dtype=pl.Int64))
    attempts = trace.attempts.select(
        "trace_id", "parent_id", attempt=pl.int_range(pl.len(), dtype=pl.Int64) + trace.spans.height
    )
    pairs = attempts.join(submits, on=["trace_id", "parent_id"])
    return pairs.get_column("submit").to_numpy(), pairs.get_column("attempt").to_numpy()
