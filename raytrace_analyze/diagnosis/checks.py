"""What is looked at, and how much each finding matters."""

from enum import StrEnum


class Level(StrEnum):
    """How much a finding of `doctor` matters."""

    FINE = "fine"
    NOTE = "note"
    SERIOUS = "serious"
    """What is recorded cannot be relied on, or nothing is recorded."""


class Check(StrEnum):
    """What `doctor` looks at."""

    HOOK = "hook"
    OPENTELEMETRY = "opentelemetry"
    RAY_VERSION = "ray version"
    DIRECTORY = "directory"
    SDK_OFF = "sdk off"
    SAMPLING = "sampling"
    SETTINGS = "settings"
    CLUSTER = "cluster"
    TRACING_ON = "tracing on"
    WORKERS = "workers"
    SAME_VERSIONS = "same versions"
    SPANS = "spans"
    OLD_HOOK = "old hook"
    OTHER_HOOK = "other hook"
    HOOK_FAILED = "hook failed"
    TASK_EVENTS = "task events"
    FORGOTTEN = "forgotten"
    SERVE = "serve"
    CLOCKS = "clocks"
    LOST = "lost"
    DAMAGED = "damaged"
    CUT = "cut"
    UNREADABLE = "unreadable"
    MISSING_NODES = "missing nodes"
    MISSING_RUNS = "missing runs"
    MISSING_PARENTS = "missing parents"
    MISSING_DRIVER = "missing driver"
