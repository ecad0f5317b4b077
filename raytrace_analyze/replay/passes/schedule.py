"""Playing a job event by event, where runs wait for slots: who is ready first gets the next one that is free."""

import heapq

import numpy as np

from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.queues.demand import rests
from raytrace_analyze.replay.slots.given_out import FREED, PAUSED, RELEASED, STARTED, SUBMITTED
from raytrace_analyze.replay.slots.lanes import Lanes
from raytrace_analyze.replay.slots.pool import Pool
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.values import frozen

_NEVER = -1
_Ticket = tuple[int, ...]
"""Who waits: when it became ready, what tells it from others of that time, and its activity."""


@frozen
class Plan:
    """What is to be played: the constraints, how long everything takes, and how many slots there are."""

    graph: Graph
    offset: RowIds
    """By event: how long after the beginning of its activity."""
    lag: Nanos
    capacity: int | None
    """In ten-thousandths of a slot; None for as many as were found, and those that jumped the queue jump it again."""


def play(plan: Plan) -> tuple[RowIds, RowIds]:
    """Give when each activity begins and the event that it waited for last."""
    stage = _Stage(plan)
    stage.run()
    return np.array(stage.began), np.array(stage.last)


class _Stage:
    """One job being played. All lists are by activity."""

    def __init__(self, plan: Plan) -> None:
        graph = plan.graph
        self.size = graph.first.size
        self._connect(plan)
        self.lag = plan.lag.tolist()
        self.ready = [_NEVER] * self.size
        self.began = [_NEVER] * self.size
        self.root = int(graph.activity[graph.events.start_of[graph.events.root]])
        self.ready[self.root] = int(graph.began[self.root])
        self._place_runs(plan)
        self._place_calls(plan)

    def _connect(self, plan: Plan) -> None:
        graph = plan.graph
        kept = ~graph.of_slot
        if plan.capacity is None and graph.slots is None:
            kept[:] = True
        elif plan.capacity is None and graph.slots is not None:
            starts = graph.activity[graph.events.start_of[graph.demand.run]]
            # Who jumped the queue waited for something else, if the spans tell what.
            kept |= ~np.isin(graph.target, starts[~graph.slots.jumped])
        if plan.capacity is not None:
            kept &= ~graph.had_by_actor
        if graph.lanes is not None:
            kept &= ~graph.of_turn
        source, target, delay = graph.source[kept], graph.target[kept], graph.delay[kept]
        cause = graph.activity[source]
        by_cause = np.argsort(cause, kind="stable")
        self.missing = np.bincount(target, minlength=self.size).tolist()
        self.first = np.searchsorted(cause[by_cause], np.arange(self.size + 1)).tolist()
        self.target = target[by_cause].tolist()
        self.ahead = (plan.offset[source[by_cause]] + delay[by_cause]).tolist()
        self.source = source[by_cause].tolist()
        self.last = [-1] * self.size

    def _place_runs(self, plan: Plan) -> None:
        graph, demand, slots = plan.graph, plan.graph.demand, plan.graph.slots
        events = graph.events
        start, end = graph.activity[events.start_of[demand.run]], events.end_of[demand.run]
        capacity = plan.capacity if plan.capacity is not None else slots.capacity if slots else None
        self.pool: Pool[_Ticket] = Pool(capacity or 0)
        amounts = np.minimum(demand.amount, capacity or 0)
        self.amount = self._by_piece(start, amounts, 0)
        waits_turn = np.ones(start.size, dtype=np.bool_)
        put_back = np.zeros(start.size, dtype=np.int64)
        if slots is not None:
            put_back = slots.priority
            waits_turn = ~slots.jumped if plan.capacity is None else waits_turn
        if graph.lanes is not None:
            waits_turn &= ~np.isin(demand.run, graph.lanes.run)
        self.waits_turn = self._by_piece(start, (waits_turn & (amounts > 0)).astype(np.int64), 0)
        self.put_back = self._by_piece(start, put_back, 0)
        self.submit_piece = self._by_piece(start, graph.activity[demand.submit], -1)
        self.submit_offset = self._by_piece(start, plan.offset[demand.submit], 0)
        stores = demand.end - events.scoped.end[demand.run]
        self.frees = self._by_piece(graph.activity[end], amounts, 0)
        self.frees_after = self._by_piece(graph.activity[end], plan.offset[end] + stores, 0)
        self.end_point = self._by_piece(graph.activity[end], end, -1)
        ended, begun = rests(graph, demand.run)
        held = np.zeros(events.start_of.size, dtype=np.int64)
        held[demand.run] = amounts
        amount = held[events.flow[begun]]
        self.rests = self._by_piece(ended, amount, 0)
        self.rests_next = self._by_piece(ended - 1, amount, 0)
        self.rests_after = self._by_piece(ended - 1, plan.offset[begun], 0)
        noted = np.concatenate([graph.activity[end], start[~waits_turn], ended - 1])
        self.is_told = self._by_piece(noted, np.ones(noted.size, dtype=np.int64), 0)
        self.rest_point = self._by_piece(ended - 1, begun, -1)

    def _place_calls(self, plan: Plan) -> None:
        """Note whose turn on an actor, or what of a resource, is waited for where, and where it comes free."""
        lanes, graph = plan.graph.lanes, plan.graph
        none = np.empty(0, dtype=np.int64)
        lanes = lanes or Lanes(none, none, none, none, none, none, none)
        self.lanes: list[Pool[_Ticket]] = [Pool(capacity) for capacity in lanes.capacity.tolist()]
        run, lane = lanes.run, lanes.lane
        start, end = graph.activity[graph.events.start_of[run]], graph.events.end_of[run]
        self.lane = self._by_piece(start, lane, -1)
        self.lane_freed = self._by_piece(graph.activity[end], lane, -1)
        self.takes = self._by_piece(start, lanes.amount, 0)
        self.gives = self._by_piece(graph.activity[end], lanes.amount, 0)
        self.frees_turn_after = self._by_piece(graph.activity[end], plan.offset[end] + lanes.keeps, 0)
        self.turn_end = self._by_piece(graph.activity[end], end, -1)
        self.turn_put_back = self._by_piece(start, lanes.put_back, 0)

    def _by_piece(self, activity: RowIds, values: RowIds, default: int) -> list[int]:
        made = np.full(self.size, default)
        made[activity] = values
        return made.tolist()

    def run(self) -> None:
        """Play all happenings. All of a prediction's time is spent here, so the lists are at hand by local names."""
        first, target, ahead, source = self.first, self.target, self.ahead, self.source
        ready, missing, began, last, lag = self.ready, self.missing, self.began, self.last, self.lag
        amount, waits_turn, put_back = self.amount, self.waits_turn, self.put_back
        frees, rests, rests_next = self.frees, self.rests, self.rests_next
        frees_after, rests_after, is_told = self.frees_after, self.rests_after, self.is_told
        end_point, rest_point = self.end_point, self.rest_point
        submit_piece, submit_offset = self.submit_piece, self.submit_offset
        is_resting, rests_since = [False] * self.size, [_NEVER] * self.size
        pool, heappush, heappop = self.pool, heapq.heappush, heapq.heappop
        lane, lane_freed, lanes = self.lane, self.lane_freed, self.lanes
        happenings: list[tuple[int, int, int, int]] = []
        # What begins now, that which begins first at the end; what follows from it begins before what is left.
        beginning = [(self.root, ready[self.root])]
        latest = _NEVER
        while True:
            while beginning:
                activity, time = beginning.pop()
                began[activity] = time
                if time > latest:
                    latest = time
                if is_told[activity]:
                    if frees[activity]:
                        over = time + frees_after[activity]
                        heappush(happenings, (over, FREED, over, activity))
                    if rests_next[activity]:
                        begun = time + rests_after[activity]
                        heappush(happenings, (begun, PAUSED, begun, activity))
                    if amount[activity] and not waits_turn[activity]:
                        heappush(happenings, (time, STARTED, time, activity))
                if lane_freed[activity] >= 0:
                    over = time + self.frees_turn_after[activity]
                    heappush(happenings, (over, FREED, over, activity - self.size))
                for edge in range(first[activity], first[activity + 1]):
                    after = target[edge]
                    then = time + ahead[edge]
                    if then > ready[after]:
                        ready[after] = then
                        last[after] = source[edge]
                    left = missing[after] - 1
                    missing[after] = left
                    if left:
                        continue
                    then = ready[after]
                    if lane[after] >= 0:
                        heappush(happenings, (then, SUBMITTED, then, after))
                        continue
                    if is_resting[after]:
                        heappush(happenings, (then, RELEASED, rests_since[after], after))
                    if waits_turn[after]:
                        submitted = began[submit_piece[after]] + submit_offset[after]
                        heappush(happenings, (then, RELEASED if then > submitted else SUBMITTED, submitted, after))
                    else:
                        beginning.append((after, then + lag[after]))
            if not happenings:
                # Where nothing more happens although some still wait, the first of them goes on.
                first_granted = None
                for each in (pool, *lanes):
                    each.used = 0
                    first_granted = each.next_granted()
                    if first_granted is not None:
                        break
                if first_granted is None:
                    return
                activity = first_granted[-1]
                beginning.append((activity, latest + lag[activity]))
                continue
            now, what, since, activity = heappop(happenings)
            of = pool
            if what == SUBMITTED and lane[activity] >= 0:
                if lanes[lane[activity]].ask(
                    self.takes[activity], (now + self.turn_put_back[activity], 0, since, activity)
                ):
                    beginning.append((activity, now + lag[activity]))
                continue
            if what == FREED and activity < 0:
                # A turn, which may come free together with a slot.
                activity += self.size
                of = lanes[lane_freed[activity]]
                granted, event = of.give(self.gives[activity]), self.turn_end[activity]
            elif what == FREED:
                granted, event = pool.give(frees[activity]), end_point[activity]
            elif what == PAUSED:
                # A wait begins: where it has to wait, the slot is free until its results are there.
                wait = activity + 1
                if missing[wait]:
                    is_resting[wait], rests_since[wait] = True, now
                elif ready[wait] > now:
                    heappush(happenings, (ready[wait], RELEASED, now, wait))
                else:
                    continue
                granted, event = pool.give(rests_next[activity]), rest_point[activity]
            else:
                if what == STARTED:
                    pool.take(amount[activity])
                elif rests[activity]:
                    pool.take(rests[activity])
                elif pool.ask(amount[activity], (now + put_back[activity], int(what == RELEASED), since, activity)):
                    beginning.append((activity, now + lag[activity]))
                continue
            while granted is not None:
                activity = granted[-1]
                last[activity] = event
                beginning.append((activity, now + lag[activity]))
                granted = of.next_granted()
            beginning.reverse()
