"""What runs demand of their nodes: CPUs, GPUs and other resources, in whole columns."""

from functools import cached_property

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import PLACEMENT_RESOURCES, UNIT, parse_resources, told
from raytrace_analyze.table.lineage import Flags, RowIds, flags
from raytrace_analyze.trace.asked_resources import asked_resources
from raytrace_analyze.trace.groups import numbers_within
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

_DEFAULT_DEMAND = '{"CPU":1}'


@frozen
class Demands:
    """What runs of tasks, and actors, demand: parallel arrays, one element a run and resource, in order of the runs."""

    row: RowIds
    place: RowIds
    """A number for the node and the resource, -1 where the node is not known."""
    amount: RowIds
    """In ten-thousandths."""
    holds: Flags
    """False for an actor that asks for a CPU when it is placed, and holds none."""
    first: RowIds
    """By row of the table: where its demands begin; one element more than there are rows."""
    resources: tuple[str, ...]
    """What can be demanded: that of a place is the one at its number modulo how many there are."""

    def of(self, rows: RowIds) -> tuple[RowIds, RowIds]:
        """Give the positions of the demands of some rows, and for each which of `rows` it belongs to."""
        begin, count = self.first[rows], self.first[rows + 1] - self.first[rows]
        question = np.repeat(np.arange(rows.size), count)
        return begin[question] + numbers_within(count), question

    @cached_property
    def kinds(self) -> tuple[RowIds, RowIds, RowIds]:
        """Give the place and the amount of each distinct pair of them, and the number of the pair of each demand."""
        amounts, number = np.unique(self.amount, return_inverse=True)
        pairs, kind = np.unique(self.place * amounts.size + number, return_inverse=True)
        size = max(amounts.size, 1)
        return pairs // size, amounts[pairs % size], kind


def read_demands(structure: Structure, runs: Runs, node: RowIds) -> Demands:
    """Find what each run of a task, and each actor, demands.

    `node` is the number of each run's node, -1 where it is not known.
    """
    rows = np.flatnonzero(structure.is_run & ((runs.actor < 0) | runs.is_creation))
    texts, code = _texts(structure, rows)
    parsed = [parse_resources(text) or {} for text in texts]
    # The last kind of demand is that of an actor without any, which asks for a CPU when it is placed, unless it is
    # told that it asks for nothing.
    of_code = [*parsed, {"CPU": UNIT}]
    names = sorted({name for demand in of_code for name in demand})
    sizes = np.array([len(demand) for demand in of_code])
    is_placed = runs.is_creation[rows] & (sizes[code] == 0)
    is_placed[is_placed] = ~_asks_for_nothing(structure, rows[is_placed])
    code = np.where(is_placed, len(parsed), code)
    count = sizes[code]
    each = np.repeat(np.arange(rows.size), count)
    entry = (np.cumsum(sizes) - sizes)[code[each]] + numbers_within(count)
    resource = np.array([names.index(name) for demand in of_code for name in demand], dtype=np.int64)[entry]
    row = rows[each]
    at = node[row]
    first = np.zeros(structure.is_run.size + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=structure.is_run.size), out=first[1:])
    return Demands(
        row=row,
        place=np.where(at >= 0, at * len(names) + resource, -1),
        amount=np.array([amount for demand in of_code for amount in demand.values()], dtype=np.int64)[entry],
        holds=code[each] < len(parsed),
        first=first,
        resources=tuple(names),
    )


def _asks_for_nothing(structure: Structure, creations: RowIds) -> Flags:
    """Tell the creations of actors of which the hook says that nothing has to be free for them."""
    submit = structure.submit[creations]
    attributes = structure.spans.get_column("attributes").gather(np.maximum(submit, 0))
    return (submit >= 0) & flags(told(attributes, PLACEMENT_RESOURCES) == "{}")


def _texts(structure: Structure, rows: RowIds) -> tuple[list[str], RowIds]:
    """Give all demands there are, as JSON, and which of them each run has."""
    asked = asked_resources(structure, rows)
    if asked.null_count() == len(asked):
        return [_DEFAULT_DEMAND], np.zeros(rows.size, dtype=np.int64)
    wanted = asked.fill_null(_DEFAULT_DEMAND)
    texts = wanted.unique().to_list()
    return texts, wanted.cast(pl.Enum(texts)).to_physical().to_numpy().astype(np.int64)
