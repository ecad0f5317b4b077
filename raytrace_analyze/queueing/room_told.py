"""What a part of a table tells of the room on its nodes."""

from collections.abc import Sequence

import numpy as np

from raytrace_analyze.queueing.beyond import Node, Place
from raytrace_analyze.queueing.occupancy import NodeSlots
from raytrace_analyze.table.lineage import RowIds


def room_told(slots: NodeSlots, first: RowIds, nodes: Sequence[Node]) -> tuple[dict[Place, int], dict[Place, int]]:
    """Tell by place how much it has held, and how much room is so much that nobody here waited for any.

    `first` are the runs that processes began with; `nodes` names the nodes by their numbers.
    """
    used, places = slots.nodes.used, slots.nodes.capacity.size
    most = np.zeros(places, dtype=np.int64)
    np.maximum.at(most, slots.nodes.steps.groups, used[slots.nodes.steps.members])
    demand, _ = slots.demands.of(first)
    at, amount = slots.demands.place, slots.demands.amount
    # So much more than what is in use may be taken at once: by whoever asks, and by processes that start.
    largest, begun = np.zeros(places + 1, dtype=np.int64), np.zeros(places + 1, dtype=np.int64)
    np.maximum.at(largest, at, amount)
    np.add.at(begun, at[demand], amount[demand])
    known = np.flatnonzero(np.bincount(at[at >= 0], minlength=places))
    count = max(len(slots.demands.resources), 1)
    names = [(*nodes[place // count], slots.demands.resources[place % count]) for place in known.tolist()]
    enough = most + np.maximum(largest, begun)[:-1]
    capacity = dict(zip(names, slots.nodes.capacity[known].tolist(), strict=True))
    return capacity, dict(zip(names, enough[known].tolist(), strict=True))
