"""What spans are, and how what they are of ended."""

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


class Library(StrEnum):
    """A library of Ray's, by the command that tells of it."""

    DATA = "data"
    SERVE = "serve"
    TRAIN = "train"
    TUNE = "tune"


class Times(StrEnum):
    """What the columns of a file that the table has not are good for; all of one length."""

    ORDERED = "ordered"
    """`latency_stats` says the same: the times are in an order that can be, and no clock is known to be off."""
    AS_TOLD = "as_told"
    """It says the same without correcting clocks."""
    UNKNOWN = "unknown"
    """It takes more of the table to tell."""
