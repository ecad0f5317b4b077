"""What had not ended, as it is found: things, and what each of them waits for."""

from dataclasses import dataclass, field

from raytrace_analyze.analyses.stuck.given import Given
from raytrace_analyze.analyses.stuck.grouped import Group
from raytrace_analyze.analyses.stuck.held_locks import Held
from raytrace_analyze.analyses.stuck.last_calls import LastCaller
from raytrace_analyze.analyses.stuck.retried import Tried
from raytrace_analyze.analyses.stuck.room import Kept
from raytrace_analyze.analyses.stuck.submitted import Row
from raytrace_analyze.values import frozen
from raytrace_analyze.wording import task_steps

WAITER = "waiter"
RUNS, WAITS, PENDING = "runs", "waits", "pending"
HELD = "held"
"""The reason of who waits for a lock that the other took and has not given back."""


@frozen
class Edge:
    """One who waits, and what for."""

    waiter: str
    waited_for: str
    reason: str
    since_ns: int
    certain: bool = True


@dataclass
class Open:
    """What had not ended; things are named by their task id, drivers by `driver JOB`."""

    edges: list[Edge] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    idle_in: dict[str, str] = field(default_factory=dict)
    by_themselves: set[str] = field(default_factory=set)
    """Those who wait for something that is no task, and drivers in no recorded wait: `idle_in` says in what. So do
    pending tasks that nobody waits for, of which it is known why they cannot start."""
    gave_slot: set[str] = field(default_factory=set)
    """Those who wait in Ray's own `get` or `wait`: tasks have given their slots away meanwhile."""
    held_by: dict[str, list[str]] = field(default_factory=dict)
    """Of calls that wait for a lock of their actor's: the spans of the runs that hold it, where that is recorded."""
    locks: dict[str, Held] = field(default_factory=dict)
    """Of calls that ask an actor for a lock: who holds it, where that has ended."""
    last_callers: dict[str, LastCaller] = field(default_factory=dict)
    """Of calls that wait for what another call has to give: who made the last such call, where that is over."""
    taken: dict[str, str] = field(default_factory=dict)
    """Of those who wait for room: the class of actors that hold what they ask for, and do nothing."""
    kept: dict[str, Kept] = field(default_factory=dict)
    """Of those who wait for room: the placement group that keeps what they ask for, in which nothing runs."""
    impossible: dict[str, str] = field(default_factory=dict)
    """Of pending tasks that no node can take: what they ask for."""
    tried: dict[str, Tried] = field(default_factory=dict)
    """Of tasks whose attempts failed, and of which another one never started."""
    given: dict[str, Given] = field(default_factory=dict)
    """Of tasks that Ray had given to a process, and that had not begun there."""
    in_group: dict[str, Group] = field(default_factory=dict)
    """Pending tasks in a placement group of which no task has started, and that."""
    for_group: dict[str, tuple[dict[str, int], int]] = field(default_factory=dict)
    """Those who wait for a placement group: what that asks for (in ten-thousandths), and since when (ns)."""
    cluster: dict[str, int] = field(default_factory=dict)
    """What the cluster has of each resource, in ten-thousandths; empty where it is not known."""
    open_spans: int = 0
    unknown_waits: int = 0

    def kept_from(self, key: str) -> str:
        """Say who keeps what one has no room for, where that is nobody who runs; empty where it is not known."""
        kept = self.kept.get(key)
        if key in self.taken or kept is not None:
            return task_steps.kept(self.taken.get(key), None if kept is None else (kept.asks, kept.function))
        return ""

    def about(self, key: str, prefix: str) -> dict[str, str | None]:
        """Give the columns that tell of one thing."""
        row = self.rows.get(key, {})
        return {
            prefix: key,
            f"{prefix}_function": row.get("function"),
            f"{prefix}_actor_id": row.get("actor_id"),
            f"{prefix}_state": self.states.get(key),
        }


def key_of(row: Row) -> str:
    """Name the flow that a span lies in."""
    return str(row["task_id"] or f"driver {row['job_id'] or row['session']}")
