"""The causal critical path: what a scope was really waiting for, from its end back to its start."""

from raytrace_analyze.path.analysis import critical_path, critical_paths
from raytrace_analyze.path.clocks import clock_offsets, correct_clocks
from raytrace_analyze.path.result import DRIVER, SEGMENTS, CriticalPath, Scope
from raytrace_analyze.path.walk import Queues, Via

__all__ = [
    "DRIVER",
    "SEGMENTS",
    "CriticalPath",
    "Queues",
    "Scope",
    "Via",
    "clock_offsets",
    "correct_clocks",
    "critical_path",
    "critical_paths",
]
