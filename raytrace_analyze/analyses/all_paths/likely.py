"""What windows will tell of nodes, most likely: they are looked at with that, and few of them again.

Told from the columns of the file alone, all of it at once: when runs of tasks had their slots, and when they waited.
Where that is not how it was (a sampler tells of other waits, say), windows say so.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.analyses.all_paths.window import parents_of
from raytrace_analyze.names.attributes import RESOURCES, UNIT, parse_resources, told
from raytrace_analyze.queueing.beyond import Node, Place, Told
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, hash_of_pair
from raytrace_analyze.values import frozen

_ROWS = 1_000_000
"""About how many rows are looked at together."""
_COLUMNS = ("kind", "category", "start", "end", "session", "node_id", "parent_place", "path_attributes")
_BY_DEFAULT = {"CPU": UNIT}


@frozen
class _Held:
    """When runs on a node that demand the same had their slots, and when they let them go; ns, in no order."""

    node: Node
    demand: dict[str, int]
    since: Nanos
    until: Nanos
    paused: Nanos
    resumed: Nanos


def likely_told(table: pl.LazyFrame, traces: pl.DataFrame) -> Told:
    """Tell what each node holds, and whether runs let their slots go there, of a file with columns of `schema.FILE`.

    `traces` are its traces, which lie together: where each begins (`at`), and how many `rows` it has.
    """
    parts: dict[tuple[Node, str], list[_Held]] = {}
    for first, sizes in _pieces(traces):
        for key, held in _held(table.select(_COLUMNS).slice(first, int(sizes.sum())).collect(), sizes):
            parts.setdefault(key, []).append(held)
    of_node: dict[Node, list[_Held]] = {}
    for (node, _), several in parts.items():
        times = ("since", "until", "paused", "resumed")
        in_order = {name: np.sort(np.concatenate([getattr(held, name) for held in several])) for name in times}
        of_node.setdefault(node, []).append(_Held(node=node, demand=several[0].demand, **in_order))
    capacity: dict[Place, int] = {}
    for node, each in of_node.items():
        for resource in {name for held in each for name in held.demand}:
            capacity[*node, resource] = _most_taken([held for held in each if resource in held.demand], resource)
    lets_go = {node: True for node, each in of_node.items() if any(held.paused.size for held in each)}
    return Told(capacity, {}, lets_go, {})


def _pieces(traces: pl.DataFrame) -> Iterator[tuple[int, RowIds]]:
    """Cut a file between traces: gives where each piece begins, and how many rows each of its traces has."""
    ordered = traces.sort("at")
    at, rows = (ordered.get_column(name).to_numpy().astype(np.int64) for name in ("at", "rows"))
    begins = np.flatnonzero(np.diff(at // _ROWS, prepend=-1))
    yield from zip(at[begins].tolist(), np.split(rows, begins[1:]), strict=True)


def _held(rows: pl.DataFrame, sizes: RowIds) -> Iterator[tuple[tuple[Node, str], _Held]]:
    """Tell when runs among traces of these sizes had their slots, by node and what they demand (JSON, or nothing)."""
    parent = parents_of(rows.get_column("parent_place"), sizes)
    is_run = (rows.get_column("kind") == "CONSUMER").to_numpy()
    start, end = (rows.get_column(name).to_physical().to_numpy() for name in ("start", "end"))
    run = np.flatnonzero(is_run)
    wait, flow = _waits_in_runs(rows, parent, is_run)
    keys, number = _numbered(rows, run, parent)
    of_row = np.full(rows.height, -1, dtype=np.int64)
    of_row[run] = number
    paused, resumed = np.maximum(start[wait], start[flow]), np.minimum(end[wait], end[flow])
    lasts, rests = end[run] > start[run], resumed > paused
    for at, (session, node, text) in enumerate(keys.iter_rows()):
        here, there = run[lasts & (number == at)], rests & (of_row[flow] == at)
        demand = _BY_DEFAULT if text is None else parse_resources(text) or {}
        held = _Held((session, node), demand, start[here], end[here], paused[there], resumed[there])
        yield ((session, node), text or ""), held


def _waits_in_runs(rows: pl.DataFrame, parent: RowIds, is_run: Flags) -> tuple[RowIds, RowIds]:
    """Pair waits with the runs that they are in."""
    wait = np.flatnonzero((rows.get_column("category") == "wait").to_numpy())
    flow = parent[wait]
    while (outside := np.flatnonzero((flow >= 0) & ~is_run[flow])).size:
        flow[outside] = parent[flow[outside]]
    return wait[flow >= 0], flow[flow >= 0]


def _numbered(rows: pl.DataFrame, run: RowIds, parent: RowIds) -> tuple[pl.DataFrame, RowIds]:
    """Number what tells runs apart: columns `session`, `node_id` and `demand` (JSON), and the number of each run."""
    submit = parent[run]
    texts = np.where(submit >= 0, rows.get_column("path_attributes").hash(3).to_numpy()[submit], 0)
    key = pl.Series(rows.select(hash_of_pair("session", "node_id")).to_series().to_numpy()[run] ^ texts)
    distinct = key.unique().sort()
    number = np.searchsorted(distinct.to_numpy(), key.to_numpy())
    example = np.zeros(distinct.len(), dtype=np.int64)
    example[number] = np.arange(run.size)
    about = rows.select("session", "node_id")[run[example]].fill_null("")
    asked = pl.Series(submit[example]).set(pl.Series(submit[example] < 0), None)
    demand = told(rows.get_column("path_attributes").gather(asked), RESOURCES)
    return about.with_columns(demand=demand), number


def _most_taken(kinds: list[_Held], resource: str) -> int:
    """Tell how much of a resource was taken at most when a run had got its part of it."""
    times = np.concatenate([held.since for held in kinds])
    if len(kinds) > 1:
        times.sort()
    taken = np.zeros(times.size, dtype=np.int64)
    for held in kinds:
        in_use = np.searchsorted(held.since, times, side="right") - np.searchsorted(held.until, times, side="right")
        if held.paused.size:
            in_use -= np.searchsorted(held.paused, times, side="right") - np.searchsorted(held.resumed, times)
        taken += held.demand[resource] * in_use
    return int(taken.max(initial=0))
