"""Playing a job event by event, where runs wait for slots: who is ready first gets the next one that is free."""

import heapq
from dataclasses import dataclass

import numpy as np

from raytrace_analyze.replay.graph import Graph, rests
from raytrace_analyze.replay.pool import Pool
from raytrace_analyze.replay.slot_model import FREED, PAUSED, RELEASED, STARTED, SUBMITTED
from raytrace_analyze.table.lineage import Rows

_NEVER = -1


@dataclass(frozen=True)
class Plan:
    """What is to be played: the constraints, how long everything takes, and how many slots there are."""

    graph: Graph
    offset: Rows
    """By point: how long after the beginning of its piece."""
    lag: Rows
    capacity: int | None
    """In ten-thousandths of a slot; None for as many as were found, and those that jumped the queue jump it again."""


def play(plan: Plan) -> tuple[Rows, Rows]:
    """Give when each piece begins and the point that it waited for last."""
    stage = _Stage(plan)
    stage.run()
    return np.array(stage.began), np.array(stage.last)


class _Stage:
    """One job being played. All lists are by piece."""

    def __init__(self, plan: Plan) -> None:
        graph = plan.graph
        self.size = graph.first.size
        self._connect(plan)
        self.lag = plan.lag.tolist()
        self.ready = [_NEVER] * self.size
        self.began = [_NEVER] * self.size
        self.events: list[tuple[int, int, int, int, int]] = []
        """Time, what happens (in the order of `slots`), what tells events of one time apart, the piece, the amount."""
        self.root = int(graph.piece[graph.points.start_of[graph.points.root]])
        self.ready[self.root] = int(graph.began[self.root])
        self._place_runs(plan)

    def _connect(self, plan: Plan) -> None:
        graph = plan.graph
        kept = ~graph.of_slot
        if plan.capacity is None and graph.slots is not None:
            starts = graph.piece[graph.points.start_of[graph.demand.run]]
            # Who jumped the queue waited for something else, if the spans tell what.
            kept |= ~np.isin(graph.target, starts[~graph.slots.jumped])
        source, target, delay = graph.source[kept], graph.target[kept], graph.delay[kept]
        cause = graph.piece[source]
        by_cause = np.argsort(cause, kind="stable")
        self.missing = np.bincount(target, minlength=self.size).tolist()
        self.first = np.searchsorted(cause[by_cause], np.arange(self.size + 1)).tolist()
        self.target = target[by_cause].tolist()
        self.ahead = (plan.offset[source[by_cause]] + delay[by_cause]).tolist()
        self.source = source[by_cause].tolist()
        self.last = [-1] * self.size

    def _place_runs(self, plan: Plan) -> None:
        graph, demand, slots = plan.graph, plan.graph.demand, plan.graph.slots
        points = graph.points
        start, end = graph.piece[points.start_of[demand.run]], points.end_of[demand.run]
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
        self.submit_piece = self._by_piece(start, graph.piece[demand.submit], -1)
        self.submit_offset = self._by_piece(start, plan.offset[demand.submit], 0)
        self.frees = self._by_piece(graph.piece[end], demand.amount, 0)
        self.frees_after = self._by_piece(graph.piece[end], plan.offset[end], 0)
        self.end_point = self._by_piece(graph.piece[end], end, -1)
        ended, begun = rests(graph, demand.run)
        held = np.zeros(points.start_of.size, dtype=np.int64)
        held[demand.run] = demand.amount
        amount = held[points.flow[begun]]
        self.rests = self._by_piece(ended, amount, 0)
        self.rests_next = self._by_piece(ended - 1, amount, 0)
        self.rests_after = self._by_piece(ended - 1, plan.offset[begun], 0)
        self.rest_point = self._by_piece(ended - 1, begun, -1)
        self.rests_since = [_NEVER] * self.size
        self.is_resting = [False] * self.size

    def _by_piece(self, piece: Rows, values: Rows, default: int) -> list[int]:
        made = np.full(self.size, default)
        made[piece] = values
        return made.tolist()

    def run(self) -> None:
        """Play all events."""
        self._begin(self.root, self.ready[self.root])
        events = self.events
        while events or self._unstick():
            if not events:
                continue
            now, what, submitted, piece, amount = heapq.heappop(events)
            if what == FREED:
                self._give(amount, now, self.end_point[piece])
            elif what == PAUSED:
                self._rest(piece, amount, now)
            elif what == STARTED or self.rests[piece]:
                self.pool.take(amount)
            elif self.pool.ask(amount, (now + self.put_back[piece], int(what == RELEASED), submitted, piece)):
                self._begin(piece, now + self.lag[piece])

    def _unstick(self) -> bool:
        """Where nothing more happens although some still wait, let the first of them go on."""
        if not self.pool.is_awaited:
            return False
        self.pool.used = 0
        now = max(self.began)
        for piece in self.pool.granted():
            self._begin(piece, now + self.lag[piece])
            break
        return True

    def _submitted(self, piece: int) -> int:
        return self.began[self.submit_piece[piece]] + self.submit_offset[piece]

    def _give(self, amount: int, now: int, point: int) -> None:
        self.pool.give(amount)
        for piece in self.pool.granted():
            self.last[piece] = point
            self._begin(piece, now + self.lag[piece])

    def _rest(self, piece: int, amount: int, now: int) -> None:
        """A wait begins (after `piece`): where it has to wait, the slot is free until its results are there."""
        wait = piece + 1
        if self.missing[wait]:
            self.is_resting[wait] = True
            self.rests_since[wait] = now
        elif self.ready[wait] > now:
            heapq.heappush(self.events, (self.ready[wait], RELEASED, now, wait, amount))
        else:
            return
        self._give(amount, now, self.rest_point[piece])

    def _begin(self, piece: int, time: int) -> None:
        """Begin a piece, and all that nothing else keeps from beginning then."""
        ready, missing, began = self.ready, self.missing, self.began
        stack = [(piece, time)]
        while stack:
            piece, time = stack.pop()
            began[piece] = time
            if self.frees[piece] or self.rests_next[piece] or self.amount[piece]:
                self._note(piece, time)
            for edge in range(self.first[piece], self.first[piece + 1]):
                after = self.target[edge]
                then = time + self.ahead[edge]
                if then > ready[after]:
                    ready[after] = then
                    self.last[after] = self.source[edge]
                missing[after] -= 1
                if not missing[after] and self._may_begin(after):
                    stack.append((after, ready[after] + self.lag[after]))

    def _note(self, piece: int, time: int) -> None:
        """Note when slots are taken and given back."""
        if self.frees[piece]:
            ended = time + self.frees_after[piece]
            heapq.heappush(self.events, (ended, FREED, ended, piece, self.frees[piece]))
        if self.rests_next[piece]:
            begun = time + self.rests_after[piece]
            heapq.heappush(self.events, (begun, PAUSED, begun, piece, self.rests_next[piece]))
        if self.amount[piece] and not self.waits_turn[piece]:
            heapq.heappush(self.events, (time, STARTED, time, piece, self.amount[piece]))

    def _may_begin(self, piece: int) -> bool:
        """Tell whether a piece can begin now that all it waits for is there; if it needs a slot, let it ask for it."""
        if self.is_resting[piece]:
            amount, since = self.rests[piece], self.rests_since[piece]
            heapq.heappush(self.events, (self.ready[piece], RELEASED, since, piece, amount))
        if not self.amount[piece] or not self.waits_turn[piece]:
            return True
        submitted = self._submitted(piece)
        what = RELEASED if self.ready[piece] > submitted else SUBMITTED
        heapq.heappush(self.events, (self.ready[piece], what, submitted, piece, self.amount[piece]))
        return False
