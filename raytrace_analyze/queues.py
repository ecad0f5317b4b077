"""What to do with a run's time in the queue: stated once, for the analysis and for the command line's help."""

from enum import StrEnum


class Queues(StrEnum):
    """What to do with the time before a run: go on through what held the actor or slot, or show the wait."""

    FOLLOW = "follow"
    SHOW = "show"
