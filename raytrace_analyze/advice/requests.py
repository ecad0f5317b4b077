"""Requests of Ray Serve that mostly wait: for a replica that takes them, for their batch, for a model, on a replica."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.analyses.libraries.serve import serve
from raytrace_analyze.attributes import told
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.rewrite import find_room, take_no_time, wait_for_nothing
from raytrace_analyze.serve_names import is_handle, is_proxy, is_route
from raytrace_analyze.span_names import BATCH_FILL, MODEL_LOAD
from raytrace_analyze.table.lineage import Flags, RowIds, flags, nearest_ancestor
from raytrace_analyze.vocabulary import Pattern
from raytrace_analyze.wording.advice import requests as words
from raytrace_analyze.wording.advice.words import Words

_MOST = 0.4
"""What part of its requests' time a wait has at least to be named."""
_FEWEST = 5
"""So few requests say nothing of how others fare."""


def request_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find deployments whose requests wait most of their time for what could be changed, and slow replicas.

    What that would save is told of requests that lie in the job, as those by a handle of the driver do.
    """
    name = facts.spans.get_column("name")
    if not is_handle(name.unique()).any():
        return
    found = serve(facts.job.trace).filter(pl.col("session") == facts.job.scope.session, pl.col("requests") >= _FEWEST)
    for row in found.iter_rows(named=True):
        yield from _of_requests(facts, row)


def _of_requests(facts: Facts, row: dict[str, Any]) -> Iterator[Candidate]:
    function = f"{row['deployment']}.{row['method']}"
    ways: tuple[tuple[str, Pattern, Callable[..., Words], RowIds, Callable[..., Graph]], ...] = (
        ("router", Pattern.REPLICA_QUEUE, words.replica_queue, _routes(facts, row), find_room),
        ("fill", Pattern.BATCH_WAIT, words.batch_wait, _inside(facts, row, BATCH_FILL), wait_for_nothing),
        ("load", Pattern.MODEL_LOADS, words.model_loads, _inside(facts, row, MODEL_LOAD), take_no_time),
    )
    for part, pattern, said, rows, mend in ways:
        waited = row[f"{part}_mean_ns"] or 0
        if rows.size and waited >= _MOST * row["total_mean_ns"] and waited * row["requests"] >= facts.floor_ns:
            took = facts.structure.end[rows] - facts.structure.start[rows]
            of_job = _of_job(facts, rows)
            mended = mend(facts.graph, of_job) if 2 * of_job.size > rows.size else None
            # How many replicas, how long a wait: only the program knows what else these are for.
            yield Candidate(
                pattern,
                function,
                said(row, is_known=mended is not None),
                mended,
                rows[np.argsort(-took)],
                certain=False,
            )
    if row["slow_replica"] is not None:
        rows = _handles(facts, row)
        on_it = rows[flags(_told(facts, rows, "replica_id") == row["slow_replica"])]
        yield Candidate(Pattern.SLOW_REPLICA, function, words.slow_replica(row), None, on_it, certain=False)


def _of_job(facts: Facts, rows: RowIds) -> RowIds:
    """Keep the rows that are in the job's own flows: nobody knows who waits for what comes over HTTP."""
    over_http = nearest_ancestor(facts.structure.parent, is_proxy(facts.spans.get_column("name")).to_numpy()) >= 0
    return rows[(facts.graph.events.start_of[rows] >= 0) & ~over_http[rows]]


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


def _routes(facts: Facts, row: dict[str, Any]) -> RowIds:
    return _of(facts, row, np.flatnonzero(is_route(facts.spans.get_column("name")).to_numpy()))


def _handles(facts: Facts, row: dict[str, Any]) -> RowIds:
    return _of(facts, row, np.flatnonzero(is_handle(facts.spans.get_column("name")).to_numpy()))


def _inside(facts: Facts, row: dict[str, Any], name: str) -> RowIds:
    """Give the spans of a name that lie in handlers of these requests."""
    names = facts.spans.get_column("name")
    rows = np.flatnonzero((names == name).to_numpy())
    if rows.size == 0:
        return rows
    above = nearest_ancestor(facts.structure.parent, is_handle(names).to_numpy())[rows]
    return rows[np.isin(above, _handles(facts, row))]
