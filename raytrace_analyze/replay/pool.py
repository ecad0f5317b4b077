"""SlotModel as a pool that runs take from and give back to, in the order in which they became ready."""

import heapq
from collections.abc import Iterator

Ticket = tuple[int, int, int, int]
"""Who waits: when it became ready, then what tells it from others of that time, then its number."""


class Pool:
    """A number of slots and a queue for them; all numbers are ten-thousandths of a CPU.

    Who asks for less than is free gets it, though somebody who asks for more waits already.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._queues: dict[int, list[Ticket]] = {}

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for slots."""
        return bool(self._queues)

    def ask(self, amount: int, ticket: Ticket) -> bool:
        """Take some slots, or wait for them; tells whether they were free."""
        amount = min(amount, self.capacity)
        if self.used + amount <= self.capacity:
            self.used += amount
            return True
        heapq.heappush(self._queues.setdefault(amount, []), ticket)
        return False

    def take(self, amount: int) -> None:
        """Take slots without asking, as what runs on after a wait does."""
        self.used += min(amount, self.capacity)

    def give(self, amount: int) -> None:
        """Give slots back."""
        self.used -= min(amount, self.capacity)

    def granted(self) -> Iterator[int]:
        """Give the numbers of those whose turn it is now, the first in the queue first."""
        while self._queues:
            fitting = [
                (queue[0], amount) for amount, queue in self._queues.items() if self.used + amount <= self.capacity
            ]
            if not fitting:
                return
            ticket, amount = min(fitting)
            heapq.heappop(self._queues[amount])
            if not self._queues[amount]:
                del self._queues[amount]
            self.used += amount
            yield ticket[-1]
