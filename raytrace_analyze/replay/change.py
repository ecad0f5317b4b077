"""What is changed before a replay: which work takes how long, which queues and how many slots there are."""

import math
from collections.abc import Mapping
from dataclasses import field

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.functions import DRIVER, short_name
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.text.closest import did_you_mean
from raytrace_analyze.values import frozen

_CHOICES = 8


@frozen
class Change:
    """A change to a job; the default changes nothing."""

    speedup: Mapping[str, float] = field(default_factory=dict)
    """By function, or name of a span within tasks: how many times as fast its own work is; may be `inf`."""
    remove_queue: bool = False
    """No run waits for a slot, a worker process or the scheduler."""
    slots: int | None = None
    """How many CPUs there are, in all, for tasks."""
    infinite_slots: bool = False


def check_slots(slots: int) -> None:
    """Raise UsageError for what is no number of slots."""
    if slots < 1 or slots != int(slots):
        raise UsageError(f"there must be at least one slot, a whole number of them, not {slots}")


def check_change(change: Change) -> None:
    """Raise UsageError for a change that cannot be."""
    if change.slots is not None:
        check_slots(change.slots)
    if change.slots is not None and (change.infinite_slots or change.remove_queue):
        raise UsageError("a number of slots cannot be combined with infinite slots or without queues")
    for name, factor in change.speedup.items():
        if not isinstance(factor, int | float) or not factor > 0 or math.isnan(factor):
            raise UsageError(f"{name!r} can be made 2 or 0.5 times as fast, not {factor}")


def find_name(graph: Graph, wanted: str) -> str:
    """Give the full name of a function, or of a span, that somebody may have written without its module.

    Raises UsageError where there is none, or more than one; the message lists the choices.
    """
    known = _known(graph)
    if wanted in known:
        return wanted
    found = sorted(name for name in known if name.endswith(f".{wanted}") or short_name(name) == wanted)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"function {wanted!r} is not unique; choose one of {', '.join(found[:_CHOICES])}")
    there = [short_name(name) for name in present_functions(graph) if name]
    meant = did_you_mean(short_name(wanted), there)
    raise UsageError(f"no function {wanted!r} in this job{meant}; there is {', '.join(there[:_CHOICES])}")


def present_functions(graph: Graph) -> list[str]:
    """List the functions that do work in the scope, the one with the most of it first."""
    work = work_by_function(graph)
    order = np.argsort(-work, kind="stable")
    return [graph.functions[number] for number in order.tolist() if work[number] > 0]


def work_by_function(graph: Graph) -> npt.NDArray[np.float64]:
    """Sum by number of the function how long it did something itself, in ns."""
    work = np.where(graph.works, graph.fixed - graph.slept, 0).astype(np.float64)
    return np.bincount(graph.function, work, minlength=len(graph.functions)).astype(np.float64)


def slept_by_function(graph: Graph) -> dict[str, int]:
    """Sum by function how long it slept until something was there (ns): no faster function makes that shorter."""
    slept = np.bincount(graph.function, graph.slept.astype(np.float64), minlength=len(graph.functions))
    return {name: round(total) for name, total in zip(graph.functions, slept.tolist(), strict=True)}


def _known(graph: Graph) -> set[str]:
    events = graph.events
    present = {graph.functions[number] for number in np.unique(graph.function).tolist()}
    spans = events.scoped.structure.spans[events.rows[:-1]]
    custom = spans.filter(pl.col("category").is_in(["custom", "put"])).get_column("name").unique()
    return (present | {DRIVER} | set(custom.to_list())) - {""}


def stretches(graph: Graph, change: Change) -> RowIds:
    """Give by event how long the fixed stretch before it takes after the change, in ns."""
    lengths = graph.fixed
    if not change.speedup:
        return lengths
    spans = graph.events.scoped.structure.spans
    slept = graph.slept
    scaled = (lengths - slept).astype(np.float64)
    for name, factor in change.speedup.items():
        if name in graph.functions:
            chosen = graph.works & (graph.function == graph.functions.index(name))
        else:
            named = np.append((spans.get_column("name") == name).to_numpy(), False)
            owner = np.minimum(graph.events.owner, spans.height)
            chosen = graph.works & named[owner]
        scaled[chosen] /= factor
    scaled += slept
    return np.where(scaled == lengths, lengths, np.rint(scaled)).astype(np.int64)
