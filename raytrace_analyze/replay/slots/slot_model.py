"""How many slots there were, told from what was observed, and when each run got its slot.

A number of slots explains a job if every run that waited for one started right after it would have got one. Of all
numbers the one is taken that leaves the least of the time before runs unexplained.
"""

from dataclasses import replace

import numpy as np

from raytrace_analyze.names.attributes import UNIT
from raytrace_analyze.replay.slots.given_out import SURPRISE_NS, Demand, Times, give_out
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.values import frozen

_MOST_TRIES = 100_000
"""Every number of slots is tried while that gives out slots to no more runs than this in all: some two seconds."""
_LATE_NS = 50_000_000
"""A run whose process was freed so long after a slot was free for it waited for that process."""
_ROUNDS = 4
"""How often runs are looked for that waited for a process: each that is found lets others have a slot sooner."""
_AT_THE_TOP = 0.01
"""Else: of all runs that start, the least share that starts on the last free slot where slots are short."""


@frozen
class SlotModel:
    """What was found out; `None` in place of it where slots explain nothing."""

    capacity: int
    """In ten-thousandths of a slot."""
    granted: Nanos
    """When each run of the demand got its slot."""
    by_run: RowIds
    """The element whose end made room for it, -1 otherwise."""
    by_wait: RowIds
    """The wait that made room for it (a number among the pauses), -1 otherwise."""
    jumped: Flags
    """Runs that started before their turn, or that waited for a process and not for a slot: they are not queued."""
    priority: Nanos
    """How much later (ns) than it became ready a run stands in the queue."""
    alone: "SlotModel | None" = None
    """The same with those in the queue that waited for a process, if there are some: that takes as long as it did."""

    def unexplained(self, demand: Demand) -> int:
        """Sum what no slot explains of the time before runs, in ns; each guess costs something, too."""
        since = np.where(self.jumped, demand.ready, self.granted)
        guesses = int((self.granted > demand.ready).sum() + self.jumped.sum())
        return int((demand.start - since).sum()) + guesses * SURPRISE_NS


def find_slots(demand: Demand, capacity: int | None, process_freed: Nanos | None = None) -> SlotModel | None:
    """Find the number of slots that explains the most; `capacity`, in slots, where it is known.

    `process_freed`: by element, when the process that the run got was free for it (ns), 0 where that is not known; None
    where it does not matter.
    """
    if demand.run.size == 0:
        return None
    numbers = _candidates(demand) if capacity is None else [capacity * UNIT]
    if not numbers:
        return None
    times = Times(demand)
    best = _best(times, numbers, np.zeros(demand.run.size, dtype=np.int64), None)
    assert best is not None
    if best.jumped.any():
        # Nobody jumps a queue in which they stand as they were served.
        best = _best(times, numbers, _observed_order(demand), best) or best
    is_better = best.unexplained(demand) < int((demand.start - demand.ready).sum())
    if not is_better and capacity is None:
        return None
    return best if process_freed is None else _without_late(times, best, process_freed)


def _without_late(times: Times, model: SlotModel, process_freed: Nanos) -> SlotModel:
    """Leave out of the queue the runs for which a slot was free, but no process."""
    alone, late = model, np.zeros(process_freed.size, dtype=np.bool_)
    for _ in range(_ROUNDS):
        more = (process_freed > model.granted + _LATE_NS) & ~model.jumped & ~late
        if not more.any():
            break
        late |= more
        found = _try(times, model.capacity, model.priority, None, late)
        assert found is not None
        model = replace(found, alone=alone)
    return model


def _best(times: Times, numbers: list[int], priority: Nanos, best: SlotModel | None) -> SlotModel | None:
    """Give the number of slots that leaves the least unexplained; the greatest of equals, and none before `best`."""
    for number in reversed(numbers):
        most = None if best is None else best.unexplained(times.demand) - 1
        best = _try(times, number, priority, most) or best
    return best


def _observed_order(demand: Demand) -> RowIds:
    """Give how much to put runs back in the queue so that it is in the order in which they started."""
    order = np.lexsort((demand.ready, demand.start))
    number = np.arange(order.size)
    put_back = np.empty(order.size, dtype=np.int64)
    # One after the other, a nanosecond apart.
    put_back[order] = np.maximum.accumulate(demand.ready[order] - number) + number - demand.ready[order]
    return put_back


def _candidates(demand: Demand) -> list[int]:
    """Give the numbers of slots to try, from what was in use at starts."""
    used = _in_use(demand)
    least, most = int(demand.amount.max()), int(used.max())
    every = range(-(-least // UNIT) * UNIT, max(most, least) + 2 * UNIT, UNIT)
    if demand.run.size * len(every) <= _MOST_TRIES:
        return list(every)
    if (used >= most - UNIT).mean() < _AT_THE_TOP:
        return []
    usual = int(np.bincount(used // UNIT).argmax()) * UNIT
    return sorted({max(number, least) for number in (most, most - UNIT, usual)})


def _in_use(demand: Demand) -> RowIds:
    """How many slots were in use right after each start."""
    time = np.concatenate([demand.start, demand.end, demand.pause_start, demand.pause_end])
    pauses = demand.amount[demand.pause_of]
    change = np.concatenate([demand.amount, -demand.amount, -pauses, pauses])
    order = np.lexsort((change, time))
    used = np.empty(time.size, dtype=np.int64)
    used[order] = np.cumsum(change[order])
    return np.maximum(used[: demand.start.size], demand.amount)


def _try(times: Times, capacity: int, priority: Nanos, most: int | None, late: Flags | None = None) -> SlotModel | None:
    """Give out so many slots; None where more than `most` ns are left unexplained."""
    given = give_out(times, capacity, priority, most, late)
    if given is None:
        return None
    return SlotModel(capacity, given.granted, given.by_run, given.by_wait, given.jumped, priority)
