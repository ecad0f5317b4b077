"""The causal critical path: what a scope was really waiting for, from its end back to its start."""

from raytrace_analyze.path.analysis import critical_path, critical_paths
from raytrace_analyze.path.clocks import clock_offsets, correct_clocks
from raytrace_analyze.path.queue_causes import QUEUE_CAUSES, queue_causes
from raytrace_analyze.path.result import DRIVER, SEGMENTS, CriticalPath, Scope
from raytrace_analyze.path.story import STEPS, TaskStory, tell_story
from raytrace_analyze.path.walk import Queues, Via

__all__ = [
    "DRIVER",
    "QUEUE_CAUSES",
    "SEGMENTS",
    "STEPS",
    "CriticalPath",
    "Queues",
    "Scope",
    "TaskStory",
    "Via",
    "clock_offsets",
    "correct_clocks",
    "critical_path",
    "critical_paths",
    "queue_causes",
    "tell_story",
]
