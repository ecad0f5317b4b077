"""What is asked of the critical paths of all scopes of a table, and what is answered."""

from raytrace_analyze.analyses.evidence import Evidence
from raytrace_analyze.model import Problem
from raytrace_analyze.path.aggregate import Aggregates
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.values import frozen


@frozen
class Question:
    """What is asked of the paths, as `path.aggregate.aggregate_paths` is asked."""

    scopes: str
    by: str
    tail: str | None
    options: PathOptions
    clock_correct: bool


@frozen
class Answer:
    """What holds the paths of a table, and what that rests on."""

    sums: Aggregates
    evidence: Evidence
    problems: tuple[Problem, ...]
    """What was wrong with the input."""
