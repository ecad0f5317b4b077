"""Two runs, or two groups of runs, compared: what moved the makespan, and whether it is more than noise."""

from raytrace_analyze.comparison.analysis import diff
from raytrace_analyze.comparison.result import Group, RunDiff

__all__ = ["Group", "RunDiff", "diff"]
