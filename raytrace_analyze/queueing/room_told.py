"""What a part of a table tells of the room on its nodes."""

from collections.abc import Sequence

import numpy as np

from raytrace_analyze.queueing.beyond import Node, Place
from raytrace_analyze.queueing.occupancy import NodeSlots
from raytrace_analyze.table.lineage import RowIds


def room_told(slots: NodeSlots, nodes: Sequence[Node]) -> dict[Place, int]:
    """Tell by place how much it has held; `nodes` names the nodes by their numbers."""
    return _by_name(slots, nodes, slots.nodes.capacity)


def room_enough(slots: NodeSlots, starts: RowIds, taken: RowIds, nodes: Sequence[Node]) -> dict[Place, int]:
    """Tell by place how much room is so much that nobody here waited for any.

    As processes began to start, so much was `taken` of the places `starts`; `nodes` names the nodes by their numbers.
    """
    used, places = slots.nodes.used, slots.nodes.capacity.size
    most = np.zeros(places, dtype=np.int64)
    np.maximum.at(most, slots.nodes.steps.groups, used[slots.nodes.steps.members])
    # The last element is for places that are not known.
    largest, started = np.zeros(places + 1, dtype=np.int64), np.zeros(places + 1, dtype=np.int64)
    np.maximum.at(largest, slots.demands.place, slots.demands.amount)
    np.maximum.at(started, starts, taken)
    return _by_name(slots, nodes, np.maximum(most + largest[:-1], started[:-1]))


def _by_name(slots: NodeSlots, nodes: Sequence[Node], amount: RowIds) -> dict[Place, int]:
    """Name the places that anybody demands something of, with an amount of each."""
    at, resources = slots.demands.place, slots.demands.resources
    known = np.flatnonzero(np.bincount(at[at >= 0], minlength=amount.size)).tolist()
    names = [(*nodes[place // len(resources)], resources[place % len(resources)]) for place in known]
    return dict(zip(names, amount[known].tolist(), strict=True))
