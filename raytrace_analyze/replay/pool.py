"""Slots as a pool that runs take from and give back to, in the order in which they became ready."""

import heapq

Ticket = tuple[int, int, int, int]
"""Who waits: when it became ready, then what tells it from others of that time, then its number."""


class Pool:
    """A number of slots and a queue for them; all numbers are ten-thousandths of a CPU.

    Who asks for less than is free gets it, though somebody who asks for more waits already. Nobody asks for more than
    there are in all.
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
        if self.used + amount <= self.capacity:
            self.used += amount
            return True
        heapq.heappush(self._queues.setdefault(amount, []), ticket)
        return False

    def take(self, amount: int) -> None:
        """Take slots without asking, as what runs on after a wait does."""
        self.used += amount

    def give(self, amount: int) -> int:
        """Give slots back; lets the first in the queue that fits have them, as `next_granted` does."""
        self.used -= amount
        return self.next_granted() if self._queues else -1

    def next_granted(self) -> int:
        """Let the first in the queue that fits have its slots; gives its number, -1 where there is none."""
        queues = self._queues
        room = self.capacity - self.used
        if not queues or room <= 0:
            return -1
        if len(queues) == 1:
            amount = next(iter(queues))
            if amount > room:
                return -1
        else:
            fitting = [(queue[0], amount) for amount, queue in queues.items() if amount <= room]
            if not fitting:
                return -1
            amount = min(fitting)[1]
        queue = queues[amount]
        ticket = heapq.heappop(queue)
        if not queue:
            del queues[amount]
        self.used += amount
        return ticket[-1]
