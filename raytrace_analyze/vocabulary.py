"""The words that results, options and columns share, each kind as one enum: what a value can be is said here only.

Light on purpose: the command line's help is made of these before anything heavy is imported.
"""

from enum import StrEnum


class SpanKind(StrEnum):
    """OpenTelemetry's kinds of spans."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class SpanCategory(StrEnum):
    """What a span of a Ray program is."""

    SUBMIT = "submit"
    TASK = "task"
    WAIT = "wait"
    PUT = "put"
    DRIVER = "driver"
    CUSTOM = "custom"


class Status(StrEnum):
    """How a span ended."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"


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


class Outcome(StrEnum):
    """How a job, a trace or a task ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    UNFINISHED = "unfinished"
    UNKNOWN = "unknown"


class Ending(StrEnum):
    """How an attempt at a task ended that gave no result."""

    EXCEPTION = "exception"
    CANCELLED = "cancelled"
    KILLED = "killed"


class Spent(StrEnum):
    """What a job's time went to, in a summary."""

    CPU = "cpu"
    IDLE = "idle"
    RUNNING = "running"
    SUBMIT = "submit"
    QUEUE = "queue"
    START_UP = "start-up"
    FETCH = "fetch"
    WAIT = "wait"


class Pattern(StrEnum):
    """What costs a job time, as `advise` finds it."""

    GET_IN_LOOP = "get-in-loop"
    SUBMISSION_ORDER = "submission-order"
    SMALL_TASKS = "small-tasks"
    UNNECESSARY_GET = "unnecessary-get"
    ACTOR_BOTTLENECK = "actor-bottleneck"
    STRAGGLER = "straggler"
    COLD_WORKERS = "cold-workers"
    PROCESS_PER_RUN = "process-per-run"
    TOO_FEW_IN_FLIGHT = "too-few-in-flight"
    TOO_MANY_IN_FLIGHT = "too-many-in-flight"
    NESTED_GET = "nested-get"
    RETRIES = "retries"
    DRIVER_CODE = "driver-code"
    DRIVER_IMPORTS = "driver-imports"
    LARGE_ARGUMENTS = "large-arguments"
    LARGE_CODE = "large-code"
    UNEVEN_POOL = "uneven-pool"
    DRIVER_IDLE = "driver-idle"
    IDLE_TASKS = "idle-tasks"
    MORE_THREADS = "more-threads"
    LOCK = "lock"
    WAIT_FOR_MANY = "wait-for-many"
    STORE_FULL = "store-full"
    REPLICA_QUEUE = "replica-queue"
    BATCH_WAIT = "batch-wait"
    MODEL_LOADS = "model-loads"
    OTHER_JOBS = "other-jobs"
    ARGUMENTS_RESTORED = "arguments-restored"
    SLOW_REPLICA = "slow-replica"
    REPORTS_HELD = "reports-held"
    SLOW_ACTOR = "slow-actor"


class Library(StrEnum):
    """A library of Ray's, by the command that tells of it."""

    DATA = "data"
    SERVE = "serve"
    TRAIN = "train"
    TUNE = "tune"


class RemedyKind(StrEnum):
    """What a summary proposes."""

    PATTERN = "pattern"
    SPEEDUP = "speedup"
    LOOK = "look"
    """A pattern to be looked at, of which nobody can tell what mending it would save."""


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


class NotRead(StrEnum):
    """Why a file of the program that a span file names was not read."""

    OUTSIDE = "outside"
    MISSING = "missing"
    TOO_LARGE = "too large"
    NO_PROGRAM = "no program"


class Inference(StrEnum):
    """What can be inferred: who was waited for, or what let a run start."""

    JOIN = "join"
    PREDECESSOR = "predecessor"


class Queues(StrEnum):
    """What to do with the time before a run: go on through what held the actor or slot, or show the wait."""

    FOLLOW = "follow"
    SHOW = "show"


class Scopes(StrEnum):
    """Of what all critical paths can be found and summed up."""

    JOBS = "jobs"
    TRACES = "traces"
    REQUESTS = "requests"


class ScopeKind(StrEnum):
    """What one path is about."""

    JOB = "job"
    SESSION = "session"
    TRACE = "trace"
    REQUEST = "request"
    TASK = "task"


class PathGroup(StrEnum):
    """What the time on critical paths can be summed by."""

    FUNCTION = "function"
    NAME = "name"
    CATEGORY = "category"
    CAUSE = "cause"
    NODE = "node"
    WORKER = "worker"
    ACTOR = "actor"
    ENTRYPOINT = "entrypoint"
    HOUR = "hour"


ONLY_OF_MANY = (PathGroup.ENTRYPOINT, PathGroup.HOUR)
"""Groups that only many scopes can differ by."""


class Engine(StrEnum):
    """Where a command's work is done: on this machine, or on a Ray cluster."""

    LOCAL = "local"
    RAY = "ray"


class Encoding(StrEnum):
    """How OTLP is sent."""

    JSON = "json"
    PROTOBUF = "protobuf"


class DiffGroup(StrEnum):
    """What the difference between runs can be broken down by."""

    FUNCTION = "function"
    CATEGORY = "category"
    CAUSE = "cause"


class LatencyGroup(StrEnum):
    """What latency can be summed by."""

    FUNCTION = "function"
    NAME = "name"
    NODE = "node"
    WORKER = "worker"
    ACTOR = "actor"


class StepGroup(StrEnum):
    """What the steps of a program's loop can be told by."""

    STEP = "step"
    CALL = "call"
    ACTOR = "actor"


class TrainGroup(StrEnum):
    """What a training of Ray Train can be told by."""

    STEP = "step"
    RANK = "rank"


class TrainPart(StrEnum):
    """What a rank's time from one report to the next is made of."""

    WORK = "work"
    IDLE = "idle"
    DATA = "data"
    WAITS = "waits"
    CHECKPOINT = "checkpoint"
    REPORT = "report"


class TuneGroup(StrEnum):
    """What a run of Ray Tune can be told by."""

    TRIAL = "trial"
    DRIVER = "driver"


_IN_IDS = ("node", "worker", "actor")


def column_of(group: str) -> str:
    """Give the column of the span table, or of segments, that holds a group."""
    return f"{group}_id" if group in _IN_IDS else str(group)
