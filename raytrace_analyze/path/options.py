"""How critical paths are found: the options that every analysis of them shares."""

from raytrace_analyze.choices import choose
from raytrace_analyze.errors import UsageError
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.options import Queues

SLOT_WITHIN_NS = 100_000_000
"""How soon after another run on its worker a task must start for that run to have held its slot."""


@frozen
class PathOptions:
    """How to walk; see `critical_path`. Whether clocks are corrected belongs to the prepared trace."""

    queues: Queues | str = Queues.FOLLOW
    """`follow` goes on through what held the actor or the slot, `show` keeps that as a queue segment."""
    infer: bool = True
    """Whether joins and predecessors are filled in where the hook recorded no waits."""
    infer_within_ns: int = SLOT_WITHIN_NS
    """How long before a task's start its inferred predecessor may have ended."""
    overlap_tolerance: float = 0.0
    """By what part of their parent siblings may overlap and still count as sequential (0.01: one percent)."""

    def __post_init__(self) -> None:
        """Read `queues`, which may be given as a word. Raises UsageError for one that is none, or a time below 0."""
        object.__setattr__(self, "queues", choose(Queues, self.queues, "way to treat queues"))
        if self.infer_within_ns < 0:
            raise UsageError(f"a predecessor ended 0 ns or more before a task's start, not {self.infer_within_ns}")


def path_options(
    options: PathOptions | None,
    queues: str = Queues.FOLLOW,
    infer: bool = True,
    infer_within_ns: int = SLOT_WITHIN_NS,
    overlap_tolerance: float = 0.0,
) -> PathOptions:
    """Give the options that were given, as one value or one by one. Raises UsageError where it was both."""
    single = PathOptions(queues, infer, infer_within_ns, overlap_tolerance)
    if options is None:
        return single
    if not isinstance(options, PathOptions):
        raise UsageError(f"the path's options are rt.PathOptions(...), not {type(options).__name__}")
    if single != PathOptions():
        raise UsageError("give the path's options as `options`, or one by one, not both")
    return options
