"""For how long, and by which policy of Ray Data, an operator was held back."""

from __future__ import annotations

import heapq
import time
from typing import Any

_MOST_STRETCHES = 200
"""How many stretches of back-pressure are told of an operator, the longest; all are in the sums."""
_LEAST_NS = 10_000_000


class BackPressure:
    """What held one operator back in one way, as long as it could otherwise have gone on."""

    __slots__ = ("longest", "policy", "since_ns", "sums")

    def __init__(self) -> None:
        self.since_ns = 0
        """Since when it is held back; 0: it is not."""
        self.policy = ""
        self.sums: dict[str, int] = {}
        """By the policy that said so, how long in all (ns)."""
        self.longest: list[tuple[int, int, str]] = []
        """Length, start and policy; a heap."""

    def change(self, is_held: bool, policy: str) -> None:
        """Note what is true from now on."""
        if self.since_ns:
            if is_held and policy == self.policy:
                return
            self.end(time.time_ns())
        if is_held:
            self.since_ns, self.policy = time.time_ns(), policy

    def end(self, now_ns: int) -> None:
        """Note that it is not held back any more."""
        if not self.since_ns:
            return
        length = max(now_ns - self.since_ns, 0)
        self.sums[self.policy] = self.sums.get(self.policy, 0) + length
        if length >= _LEAST_NS:
            push = heapq.heappush if len(self.longest) < _MOST_STRETCHES else heapq.heappushpop
            push(self.longest, (length, self.since_ns, self.policy))
        self.since_ns = 0

    def told(self) -> dict[str, Any]:
        """Return the sums, and the longest stretches in order."""
        stretches = sorted((start, start + length, policy) for length, start, policy in self.longest)
        return {
            "ns": self.sums,
            "stretches": [{"start_ns": start, "end_ns": end, "policy": policy} for start, end, policy in stretches],
        }
