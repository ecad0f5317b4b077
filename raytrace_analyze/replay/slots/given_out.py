"""Slots given out to runs in turn, at the times at which they asked, ended and waited: who got one when."""

import sys
from heapq import heappop, heappush

import numpy as np

from raytrace_analyze.replay.slots.pool import Pool
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.values import frozen

SUBMITTED, FREED, RELEASED, PAUSED, STARTED = range(5)
"""What comes first of what happens at one time: a submit is over, a run ends, a result releases, a wait begins; and a
run that got no slot starts nevertheless."""

SURPRISE_NS = 10_000_000
"""What a run must have waited for a slot, on average, for slots to be the better explanation."""


@frozen
class Demand:
    """Who takes slots when: parallel arrays, one element a run that holds a slot."""

    run: RowIds
    amount: RowIds
    ready: RowIds
    """When everything else was there (ns)."""
    released: RowIds
    """1 where a result was the last to be there, 0 where that was the submit."""
    submit: RowIds
    """The event where its submit was over."""
    submitted: Nanos
    """When that was."""
    start: Nanos
    end: Nanos
    """When it gave its slot back: at its end, or once its results were stored."""
    pause_of: RowIds
    """The element of the run of each wait within which its slot was free."""
    pause_start: Nanos
    pause_end: Nanos
    pause_event: RowIds
    """The event where that begins."""


class Times:
    """What happens to the runs of a demand, in order of time: the same for every number of slots."""

    def __init__(self, demand: Demand) -> None:
        runs, pauses = demand.run.size, demand.pause_of.size
        numbers, pause_numbers = np.arange(runs), np.arange(pauses)
        kinds = np.repeat([SUBMITTED, FREED, STARTED, RELEASED, PAUSED], [runs, runs, runs, pauses, pauses])
        kinds[:runs] = np.where(demand.released, RELEASED, SUBMITTED)
        time = np.concatenate([demand.ready, demand.end, demand.start, demand.pause_end, demand.pause_start])
        ties = np.concatenate([demand.submitted, demand.end, demand.start, demand.pause_start, demand.pause_start])
        what = np.repeat([0, 1, 2, 3, 4], [runs, runs, runs, pauses, pauses])
        number = np.concatenate([numbers, numbers, numbers, pause_numbers, pause_numbers])
        order = np.lexsort((number, ties, kinds, time))
        self.demand = demand
        self.events = list(zip(what[order].tolist(), number[order].tolist(), time[order].tolist(), strict=True))
        """What happens (a run asks, ends, starts; a pause ends, begins), to which of them, and when."""
        self.pause_of = demand.pause_of.tolist()
        self.ready, self.start = demand.ready.tolist(), demand.start.tolist()


@frozen
class Given:
    """Who got a slot when, by element: as `SlotModel` has it."""

    granted: Nanos
    by_run: RowIds
    by_wait: RowIds
    jumped: Flags


def give_out(times: Times, capacity: int, priority: Nanos, most: int | None, late: Flags | None) -> Given | None:
    """Give out so many slots (ten-thousandths) as the times of a job were, and see who got them when.

    `priority` puts runs back in the queue (ns). None as soon as more than `most` ns are left unexplained. Who is `late`
    takes a slot at its start, without asking.
    """
    demand = times.demand
    amounts = np.minimum(demand.amount, capacity)
    # Who is first in the queue is known for all of them at once.
    queue = np.lexsort((demand.submitted, demand.released, demand.ready + priority))
    place = np.empty_like(queue)
    place[queue] = np.arange(queue.size)
    given = _Lists(queue.size, late)
    are_alike = (amounts == amounts[0]).all() and amounts[0] > 0
    unexplained = (
        _alike(times, int(capacity // amounts[0]), place.tolist(), queue.tolist(), given, most)
        if are_alike
        else _each(times, capacity, amounts.tolist(), place.tolist(), queue.tolist(), given, most)
    )
    if unexplained is None:
        return None
    granted, by_run, by_wait = map(np.array, (given.granted, given.by_run, given.by_wait))
    return Given(granted=granted, by_run=by_run, by_wait=by_wait, jumped=np.array(given.jumped, dtype=np.bool_))


class _Lists:
    """What is `Given`, while it is put down."""

    __slots__ = ("by_run", "by_wait", "granted", "jumped")

    def __init__(self, runs: int, late: Flags | None) -> None:
        self.granted, self.by_run, self.by_wait = [-1] * runs, [-1] * runs, [-1] * runs
        self.jumped = [False] * runs if late is None else late.tolist()


def _each(
    times: Times,
    capacity: int,
    amounts: list[int],
    places: list[int],
    in_place: list[int],
    given: _Lists,
    most: int | None,
) -> int | None:
    """Give out slots, and put down who got them; gives what is left unexplained (ns), None where that is too much."""
    pause_of, ready, start = times.pause_of, times.ready, times.start
    granted, by_run, by_wait, jumped = given.granted, given.by_run, given.by_wait, given.jumped
    pool: Pool[int] = Pool(capacity)
    unexplained = 0
    for event, one, now in times.events:
        if event == 0:
            if not jumped[one] and pool.ask(amounts[one], places[one]):
                granted[one] = now
                unexplained += start[one] - now
        elif event == 2:
            if granted[one] < 0:
                jumped[one] = True
                granted[one] = now
                pool.take(amounts[one])
                unexplained += now - ready[one] + SURPRISE_NS * (1 + (now > ready[one]))
        elif event == 3:
            pool.take(amounts[pause_of[one]])
        else:
            ticket = pool.give(amounts[one if event == 1 else pause_of[one]])
            while ticket is not None:
                waiting = in_place[ticket]
                if jumped[waiting]:
                    ticket = pool.give(amounts[waiting])
                    continue
                granted[waiting] = now
                unexplained += start[waiting] - now + SURPRISE_NS * (now > ready[waiting])
                (by_run if event == 1 else by_wait)[waiting] = one
                ticket = pool.next_granted()
            if most is not None and unexplained > most:
                return None
    return unexplained if most is None or unexplained <= most else None


def _alike(
    times: Times, slots: int, places: list[int], in_place: list[int], given: _Lists, most: int | None
) -> int | None:
    """Do the same where all ask for the same: a number of slots, and one queue for them. It is by far the usual."""
    ready, start = times.ready, times.start
    granted, by_run, by_wait, jumped = given.granted, given.by_run, given.by_wait, given.jumped
    limit = sys.maxsize if most is None else most
    free, unexplained = slots, 0
    queue: list[int] = []
    for event, one, now in times.events:
        if event == 0:
            if jumped[one]:
                continue
            if free > 0:
                free -= 1
                granted[one] = now
                unexplained += start[one] - now
            else:
                heappush(queue, places[one])
        elif event == 2:
            if granted[one] < 0:
                jumped[one] = True
                granted[one] = now
                free -= 1
                unexplained += now - ready[one] + SURPRISE_NS * (1 + (now > ready[one]))
        elif event == 3:
            free -= 1
        else:
            free += 1
            while free > 0 and queue:
                waiting = in_place[heappop(queue)]
                if jumped[waiting]:
                    continue
                free -= 1
                granted[waiting] = now
                unexplained += start[waiting] - now + SURPRISE_NS * (now > ready[waiting])
                (by_run if event == 1 else by_wait)[waiting] = one
            if unexplained > limit:
                return None
    return unexplained if unexplained <= limit else None
