"""Playing a job event by event, where runs wait for slots: who is ready first gets the next one that is free."""

import heapq
from dataclasses import dataclass

import numpy as np

from raytrace_analyze.replay.demand import rests
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.pool import Pool
from raytrace_analyze.replay.slot_model import FREED, PAUSED, RELEASED, STARTED, SUBMITTED
from raytrace_analyze.table.lineage import Nanos, RowIds

_NEVER = -1


@dataclass(frozen=True)
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
        self.happenings: list[tuple[int, int, int, int, int]] = []
        """Time, what happens (in the order of `slots`), what tells those of one time apart, activity, amount."""
        self.root = int(graph.activity[graph.events.start_of[graph.events.root]])
        self.ready[self.root] = int(graph.began[self.root])
        self._place_runs(plan)

    def _connect(self, plan: Plan) -> None:
        graph = plan.graph
        kept = ~graph.of_slot
        if plan.capacity is None and graph.slots is not None:
            starts = graph.activity[graph.events.start_of[graph.demand.run]]
            # Who jumped the queue waited for something else, if the spans tell what.
            kept |= ~np.isin(graph.target, starts[~graph.slots.jumped])
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
        assert capacity is not None
        self.pool = Pool(capacity)
        self.amount = self._by_piece(start, demand.amount, 0)
        waits_turn = np.ones(start.size, dtype=np.bool_)
        put_back = np.zeros(start.size, dtype=np.int64)
        if slots is not None:
            put_back = slots.priority
            waits_turn = ~slots.jumped if plan.capacity is None else waits_turn
        self.waits_turn = self._by_piece(start, waits_turn.astype(np.int64), 0)
        self.put_back = self._by_piece(start, put_back, 0)
        self.submit_piece = self._by_piece(start, graph.activity[demand.submit], -1)
        self.submit_offset = self._by_piece(start, plan.offset[demand.submit], 0)
        stores = demand.end - events.scoped.end[demand.run]
        self.frees = self._by_piece(graph.activity[end], demand.amount, 0)
        self.frees_after = self._by_piece(graph.activity[end], plan.offset[end] + stores, 0)
        self.end_point = self._by_piece(graph.activity[end], end, -1)
        ended, begun = rests(graph, demand.run)
        held = np.zeros(events.start_of.size, dtype=np.int64)
        held[demand.run] = demand.amount
        amount = held[events.flow[begun]]
        self.rests = self._by_piece(ended, amount, 0)
        self.rests_next = self._by_piece(ended - 1, amount, 0)
        self.rests_after = self._by_piece(ended - 1, plan.offset[begun], 0)
        self.rest_point = self._by_piece(ended - 1, begun, -1)
        self.rests_since = [_NEVER] * self.size
        self.is_resting = [False] * self.size

    def _by_piece(self, activity: RowIds, values: RowIds, default: int) -> list[int]:
        made = np.full(self.size, default)
        made[activity] = values
        return made.tolist()

    def run(self) -> None:
        """Play all happenings."""
        self._begin(self.root, self.ready[self.root])
        happenings = self.happenings
        while happenings or self._unstick():
            if not happenings:
                continue
            now, what, submitted, activity, amount = heapq.heappop(happenings)
            if what == FREED:
                self._give(amount, now, self.end_point[activity])
            elif what == PAUSED:
                self._rest(activity, amount, now)
            elif what == STARTED or self.rests[activity]:
                self.pool.take(amount)
            elif self.pool.ask(amount, (now + self.put_back[activity], int(what == RELEASED), submitted, activity)):
                self._begin(activity, now + self.lag[activity])

    def _unstick(self) -> bool:
        """Where nothing more happens although some still wait, let the first of them go on."""
        if not self.pool.is_awaited:
            return False
        self.pool.used = 0
        now = max(self.began)
        for activity in self.pool.granted():
            self._begin(activity, now + self.lag[activity])
            break
        return True

    def _submitted(self, activity: int) -> int:
        return self.began[self.submit_piece[activity]] + self.submit_offset[activity]

    def _give(self, amount: int, now: int, event: int) -> None:
        self.pool.give(amount)
        for activity in self.pool.granted():
            self.last[activity] = event
            self._begin(activity, now + self.lag[activity])

    def _rest(self, activity: int, amount: int, now: int) -> None:
        """A wait begins (after `activity`): where it has to wait, the slot is free until its results are there."""
        wait = activity + 1
        if self.missing[wait]:
            self.is_resting[wait] = True
            self.rests_since[wait] = now
        elif self.ready[wait] > now:
            heapq.heappush(self.happenings, (self.ready[wait], RELEASED, now, wait, amount))
        else:
            return
        self._give(amount, now, self.rest_point[activity])

    def _begin(self, activity: int, time: int) -> None:
        """Begin an activity, and all that nothing else keeps from beginning then."""
        ready, missing, began = self.ready, self.missing, self.began
        stack = [(activity, time)]
        while stack:
            activity, time = stack.pop()
            began[activity] = time
            if self.frees[activity] or self.rests_next[activity] or self.amount[activity]:
                self._note(activity, time)
            for edge in range(self.first[activity], self.first[activity + 1]):
                after = self.target[edge]
                then = time + self.ahead[edge]
                if then > ready[after]:
                    ready[after] = then
                    self.last[after] = self.source[edge]
                missing[after] -= 1
                if not missing[after] and self._may_begin(after):
                    stack.append((after, ready[after] + self.lag[after]))

    def _note(self, activity: int, time: int) -> None:
        """Note when slots are taken and given back."""
        if self.frees[activity]:
            ended = time + self.frees_after[activity]
            heapq.heappush(self.happenings, (ended, FREED, ended, activity, self.frees[activity]))
        if self.rests_next[activity]:
            begun = time + self.rests_after[activity]
            heapq.heappush(self.happenings, (begun, PAUSED, begun, activity, self.rests_next[activity]))
        if self.amount[activity] and not self.waits_turn[activity]:
            heapq.heappush(self.happenings, (time, STARTED, time, activity, self.amount[activity]))

    def _may_begin(self, activity: int) -> bool:
        """Tell whether an activity can begin now that all it waits for is there; if it needs a slot, let it ask."""
        if self.is_resting[activity]:
            amount, since = self.rests[activity], self.rests_since[activity]
            heapq.heappush(self.happenings, (self.ready[activity], RELEASED, since, activity, amount))
        if not self.amount[activity] or not self.waits_turn[activity]:
            return True
        submitted = self._submitted(activity)
        what = RELEASED if self.ready[activity] > submitted else SUBMITTED
        heapq.heappush(self.happenings, (self.ready[activity], what, submitted, activity, self.amount[activity]))
        return False
