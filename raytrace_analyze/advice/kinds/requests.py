"""Requests of Ray Serve that wait: for a replica, for their batch, for a model; handlers in the way of others."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.analyses.libraries.serve.event_loops import blocks_loop, is_kept
from raytrace_analyze.analyses.libraries.serve.table import serve
from raytrace_analyze.analyses.stack_lines import longest_idle_line
from raytrace_analyze.names.attributes import LOOP_IDLE_NS, told
from raytrace_analyze.names.serve import is_handle, is_proxy, is_route
from raytrace_analyze.names.spans import BATCH_FILL, MODEL_LOAD
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.rewrite import make_room, take_no_time, wait_for_nothing
from raytrace_analyze.table.lineage import Flags, RowIds, flags, nearest_ancestor
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import requests as words
from raytrace_analyze.wording.advice.words import Words

_MOST = 0.4
"""What part of its requests' time a wait has at least to be named."""
_FEWEST = 5
"""So few requests say nothing of how others fare."""


@frozen
class _Spans:
    """Spans of Ray Serve's (rows)."""

    routes: RowIds
    handles: RowIds
    fills: RowIds
    loads: RowIds
    handle_above: RowIds
    """By row: the handler in which it lies, -1 for none."""
    is_over_http: Flags
    """By row: whether it lies in a request that came to a proxy."""

    @classmethod
    def of(cls, facts: Facts) -> "_Spans":
        """Find them."""
        name, parent = facts.spans.get_column("name"), facts.structure.parent
        is_handling = is_handle(name).to_numpy()
        return cls(
            routes=np.flatnonzero(is_route(name).to_numpy()),
            handles=np.flatnonzero(is_handling),
            fills=np.flatnonzero((name == BATCH_FILL).to_numpy()),
            loads=np.flatnonzero((name == MODEL_LOAD).to_numpy()),
            handle_above=nearest_ancestor(parent, is_handling),
            is_over_http=nearest_ancestor(parent, is_proxy(name).to_numpy()) >= 0,
        )

    def inside(self, handles: RowIds, rows: RowIds) -> RowIds:
        """Keep the rows that lie in some handlers."""
        return rows[np.isin(self.handle_above[rows], handles)]


def request_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find deployments whose requests wait most of their time for what could be changed, and slow replicas.

    What that would save is told of requests that lie in the job, as those by a handle of the driver do.
    """
    name = facts.spans.get_column("name")
    if not is_handle(name.unique()).any():
        return
    spans = _Spans.of(facts)
    found = serve(facts.job.trace).filter(pl.col("session") == facts.job.scope.session, pl.col("requests") >= _FEWEST)
    for row in found.iter_rows(named=True):
        yield from _of_requests(facts, spans, row)


def _of_requests(facts: Facts, spans: _Spans, row: dict[str, Any]) -> Iterator[Candidate]:
    function = f"{row['deployment']}.{row['method']}"
    queue = partial(words.replica_queue, loop_is_kept=is_kept(row))
    handles = _of(facts, row, spans.handles)
    ways: tuple[tuple[str, Pattern, Callable[..., Words], RowIds, Callable[..., Graph]], ...] = (
        ("router", Pattern.REPLICA_QUEUE, queue, _of(facts, row, spans.routes), make_room),
        ("fill", Pattern.BATCH_WAIT, words.batch_wait, spans.inside(handles, spans.fills), wait_for_nothing),
        ("load", Pattern.MODEL_LOADS, words.model_loads, spans.inside(handles, spans.loads), take_no_time),
    )
    taken = row["requests"] - row["refused"]
    for part, pattern, said, rows, mend in ways:
        waited = row[f"{part}_mean_ns"] or 0
        if rows.size and taken and waited >= _MOST * row["total_mean_ns"] and waited * taken >= facts.floor_ns:
            took = facts.structure.end[rows] - facts.structure.start[rows]
            # Nobody knows who waits for what comes over HTTP.
            of_job = rows[(facts.graph.events.start_of[rows] >= 0) & ~spans.is_over_http[rows]]
            can_go_on = pattern is not Pattern.REPLICA_QUEUE or not is_kept(row)
            mended = mend(facts.graph, of_job) if can_go_on and 2 * of_job.size > rows.size else None
            # How many replicas, how long a wait: only the program knows what else these are for.
            yield Candidate(
                pattern,
                function,
                said(row, is_known=mended is not None),
                mended,
                rows[np.argsort(-took)],
                certain=False,
            )
    if blocks_loop(row):
        texts = facts.spans.get_column("attributes").gather(handles)
        kept = told(texts, LOOP_IDLE_NS).cast(pl.Int64, strict=False).fill_null(0)
        longest = handles[kept.arg_sort(descending=True)]
        line = longest_idle_line(texts)
        yield Candidate(Pattern.BLOCKED_LOOP, function, words.blocked_loop(row), None, longest, line, certain=False)
    if row["slow_replica"] is not None:
        on_it = handles[flags(_told(facts, handles, "replica_id") == row["slow_replica"])]
        yield Candidate(Pattern.SLOW_REPLICA, function, words.slow_replica(row), None, on_it, certain=False)


def _of(facts: Facts, row: dict[str, Any], rows: RowIds) -> RowIds:
    """Keep the spans of Serve's (rows) that are of requests of one row of the table."""
    names = ("app", "deployment", "call_method")
    keys = ("app", "deployment", "method")
    kept: Flags = flags(facts.spans.get_column("session").gather(rows) == row["session"])
    for attribute, key in zip(names, keys, strict=True):
        kept &= flags(_told(facts, rows, attribute).eq_missing(pl.Series([row[key]], dtype=pl.String)))
    return rows[kept]


def _told(facts: Facts, rows: RowIds, attribute: str) -> pl.Series:
    return told(facts.spans.get_column("attributes").gather(rows), attribute)
