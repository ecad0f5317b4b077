"""What the segments of a critical path are, how the walk came to them, and what a path is of."""

from enum import StrEnum


class Category(StrEnum):
    """What a segment of the critical path is; the order is that of the columns."""

    SELF = "self"
    SUBMIT = "submit"
    QUEUE = "queue"
    WAIT = "wait"
    FETCH = "fetch"


class Activity(StrEnum):
    """What a span's own time was."""

    CPU = "cpu"
    IDLE = "idle"
    UNKNOWN = "unknown"


class Spent(StrEnum):
    """What a job's time went to, in a summary."""

    CPU = "cpu"
    IDLE = "idle"
    RUNNING = "running"
    SUBMIT = "submit"
    QUEUE = "queue"
    START_UP = "start-up"
    UNKNOWN = "unknown"
    FETCH = "fetch"
    WAIT = "wait"


class Via(StrEnum):
    """How the walk came to a segment's span."""

    JOIN = "join"
    WAIT = "wait"
    WAKER = "waker"
    CONSUMER = "consumer"
    DEPENDENCY = "dependency"
    ATTEMPT = "attempt"
    CREATION = "creation"
    SUBMIT = "submit"
    ACTOR = "actor"
    SLOT = "slot"
    CANCEL = "cancel"
    INFERRED = "inferred"


class Precedence(StrEnum):
    """Why one event must come before another, whatever the clocks say: what relates a run to it."""

    SUBMIT = "submit"
    WAIT = "wait"
    DEPENDENCY = "dependency"
    ATTEMPT = "attempt"
    CREATION = "creation"


class ScopeKind(StrEnum):
    """What one path is about."""

    JOB = "job"
    SESSION = "session"
    TRACE = "trace"
    REQUEST = "request"
    TASK = "task"
