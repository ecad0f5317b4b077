"""Which tasks waited for a resource besides CPUs (GPUs, those of the program's own), as queues for it."""

from dataclasses import replace

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import BYTES, CLUSTER_RESOURCES, LABELS, UNIT, parse_resources, told
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.queues.queued import Queue, explained
from raytrace_analyze.replay.slots.given_out import Demand
from raytrace_analyze.replay.slots.slot_model import SlotModel
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.asked_resources import asked_resources
from raytrace_analyze.vocabulary.spans import SpanCategory

_PLENTY = ("CPU", "object_store_memory")
_FEWEST = 3
_PARTS = 1_000
"""In so many slots memory is told: a thousandth of what the cluster has is one."""


def resource_queues(graph: Graph) -> list[Queue]:
    """Find the tasks that can be played as queues for a resource besides CPUs: each for the one it asks most of."""
    events, structure = graph.events, graph.events.scoped.structure
    rows = events.rows[:-1]
    rows = rows[structure.is_run[rows] & (events.runs.actor[rows] < 0) & (events.scoped.parent[rows] >= 0)]
    texts = asked_resources(structure, rows)
    asked = {text: found for text in texts.drop_nulls().unique().to_list() if (found := _scarce(text)) is not None}
    if not asked:
        return []
    names = sorted({name for name, _ in asked.values()})
    number = _of(texts, {text: names.index(name) for text, (name, _) in asked.items()}, -1)
    amount = _of(texts, {text: most for text, (_, most) in asked.items()}, 0)
    queues = []
    for one in range(len(names)):
        chosen = np.flatnonzero(number == one)
        start = graph.activity[events.start_of[rows[chosen]]]
        order = np.argsort(start, kind="stable")
        runs, start, taken = rows[chosen][order], start[order], amount[chosen][order]
        end = np.maximum(events.runs.held_until[runs], events.scoped.end[runs])
        limit = None
        if names[one] in BYTES:
            limit, taken = _PARTS, _in_parts(graph, names[one], taken)
        queue = explained(graph, runs, taken, graph.ready[start], end, limit) if runs.size >= _FEWEST else None
        if queue is not None and (limit is None or _explains(*queue)):
            queues.append(queue)
    return queues


def without_queued(demand: Demand, queues: list[Queue]) -> Demand:
    """Let what stands in such a queue ask for its CPUs only when it starts."""
    queued = np.isin(demand.run, np.concatenate([of.run for of, _ in queues])) if queues else None
    return demand if queued is None else replace(demand, ready=np.where(queued, demand.start, demand.ready))


def _in_parts(graph: Graph, name: str, amount: RowIds) -> RowIds:
    """Give amounts in bytes as parts of what the cluster has, in ten-thousandths of one; 0 where nobody says that."""
    spans = graph.events.scoped.structure.spans
    drivers = spans.filter(pl.col("category") == SpanCategory.DRIVER).get_column("attributes")
    told_by = [parse_resources(text) or {} for text in told(drivers, CLUSTER_RESOURCES).drop_nulls()]
    total = max((has.get(name, 0) for has in told_by), default=0)
    parts: RowIds = (amount / max(total, 1) * (_PARTS * UNIT if total else 0)).astype(np.int64)
    return parts


def _explains(demand: Demand, model: SlotModel) -> bool:
    """Tell whether what there is in all explains why runs started late: that it is scarce."""
    return model.unexplained(demand) < int((demand.start - demand.ready).sum())


def _scarce(text: str) -> tuple[str, int] | None:
    """Give the resource besides CPUs of which demands in JSON ask most, and how much; memory where it is alone."""
    found = parse_resources(text) or {}
    names = [name for name in found if name not in _PLENTY and not name.startswith(LABELS)]
    name = max(names, key=lambda one: (one not in BYTES, found[one], one), default=None)
    return None if name is None else (name, found[name])


def _of(texts: pl.Series, values: dict[str, int], otherwise: int) -> RowIds:
    read: RowIds = texts.replace_strict(
        list(values), list(values.values()), default=otherwise, return_dtype=pl.Int64
    ).to_numpy()
    return read
