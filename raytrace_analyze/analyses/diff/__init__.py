"""Two runs, or two groups of runs, compared: what moved the makespan, and whether it is more than noise."""

from raytrace_analyze.analyses.diff.compare import diff
from raytrace_analyze.analyses.diff.result import Group, RunDiff

__all__ = ["Group", "RunDiff", "diff"]
