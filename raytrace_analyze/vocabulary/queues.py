"""Why runs waited, and what that was told from."""

from enum import StrEnum


class Cause(StrEnum):
    """Why a run waited before it started."""

    DEPENDENCY = "dependency"
    ACTOR_BUSY = "actor-busy"
    ACTOR_START = "actor-start"
    WORKER_START = "worker-start"
    NO_SLOT = "no-slot"
    SLOT_START = "slot-start"
    """No slot was free, while the process of the one that came free was still starting, or loading its code."""
    TRANSFER = "transfer"
    FUNCTION_LOAD = "function-load"
    RETRY = "retry"
    RESTORE = "restore"
    STORE_FULL = "store-full"
    PLACEMENT = "placement"
    REPLICA = "replica"
    """Of a request of Ray Serve, which is no run: no replica took it yet."""
    DISPATCH = "dispatch"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """What a cause was told from."""

    TASK_EVENTS = "task events"
    SPANS = "spans"
