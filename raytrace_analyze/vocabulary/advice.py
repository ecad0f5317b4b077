"""What costs a job time, and what is proposed."""

from enum import StrEnum


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
    PACED_CALLS = "paced-calls"
    ASKS_AGAIN = "asks-again"
    WAIT_FOR_MANY = "wait-for-many"
    STORE_FULL = "store-full"
    REPLICA_QUEUE = "replica-queue"
    BATCH_WAIT = "batch-wait"
    MODEL_LOADS = "model-loads"
    OTHER_JOBS = "other-jobs"
    ARGUMENTS_RESTORED = "arguments-restored"
    SLOW_REPLICA = "slow-replica"
    BLOCKED_LOOP = "blocked-loop"
    REPORTS_HELD = "reports-held"
    SEEN_LATE = "seen-late"
    SLOW_ACTOR = "slow-actor"


class RemedyKind(StrEnum):
    """What a summary proposes."""

    PATTERN = "pattern"
    SPEEDUP = "speedup"
    LOOK = "look"
    """A pattern to be looked at, of which nobody can tell what mending it would save."""


class NotRead(StrEnum):
    """Why a file of the program that a span file names was not read."""

    OUTSIDE = "outside"
    MISSING = "missing"
    TOO_LARGE = "too large"
    NO_PROGRAM = "no program"
