"""What results can be told by: the words behind `--by`."""

from enum import StrEnum


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
