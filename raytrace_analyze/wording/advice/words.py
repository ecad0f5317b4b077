"""What is said of one thing that could be done about a job's time."""

from raytrace_analyze.values import frozen


@frozen
class Words:
    """Two sentences, without their full stops."""

    what: str
    """What was seen."""
    remedy: str
    """What to do."""
