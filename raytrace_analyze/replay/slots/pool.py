"""Slots as a pool that runs take from and give back to, in the order in which they became ready."""

import heapq
from typing import Generic, TypeVar

_Ticket = TypeVar("_Ticket", int, tuple[int, ...])


class Pool(Generic[_Ticket]):
    """A number of slots and a queue for them, for whoever holds the least ticket first; tickets are unique.

    All numbers are ten-thousandths of a CPU. Who asks for less than is free gets it, though somebody who asks for more
    waits already. Nobody asks for more than there are in all.
    """

    __slots__ = ("_queues", "capacity", "used")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._queues: dict[int, list[_Ticket]] = {}
        """Who waits, by how much they ask for: heaps."""

    def ask(self, amount: int, ticket: _Ticket) -> bool:
        """Take some slots, or wait for them; tells whether they were free."""
        if self.used + amount <= self.capacity:
            self.used += amount
            return True
        heapq.heappush(self._queues.setdefault(amount, []), ticket)
        return False

    def take(self, amount: int) -> None:
        """Take slots without asking, as what runs on after a wait does."""
        self.used += amount

    def give(self, amount: int) -> _Ticket | None:
        """Give slots back; lets the first in the queue that fits have them, as `next_granted` does."""
        self.used -= amount
        return self.next_granted() if self._queues else None

    def next_granted(self) -> _Ticket | None:
        """Let the first in the queue that fits have its slots; gives its ticket, None where there is none."""
        queues = self._queues
        room = self.capacity - self.used
        if room <= 0 or not queues:
            return None
        if len(queues) == 1:
            ((amount, queue),) = queues.items()
            if amount > room:
                return None
        else:
            fitting = [(queue[0], amount) for amount, queue in queues.items() if amount <= room]
            if not fitting:
                return None
            amount = min(fitting)[1]
            queue = queues[amount]
        ticket = heapq.heappop(queue)
        if not queue:
            del queues[amount]
        self.used += amount
        return ticket
