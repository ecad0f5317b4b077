"""What else callers choose: the words of other options."""

from enum import StrEnum


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


class Engine(StrEnum):
    """Where a command's work is done: on this machine, or on a Ray cluster."""

    LOCAL = "local"
    RAY = "ray"


class Encoding(StrEnum):
    """How OTLP is sent."""

    JSON = "json"
    PROTOBUF = "protobuf"
