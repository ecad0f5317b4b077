"""The causal critical path: what a scope was really waiting for, from its end back to its start."""

from raytrace_analyze.path.aggregate import Aggregates, aggregate_paths, path_aggregates
from raytrace_analyze.path.analysis import critical_path
from raytrace_analyze.path.clocks import clock_offsets, correct_clocks
from raytrace_analyze.path.many import critical_paths
from raytrace_analyze.path.queue_causes import QUEUE_CAUSES, queue_causes
from raytrace_analyze.path.result import DRIVER, SEGMENTS, CriticalPath, Scope
from raytrace_analyze.path.story import STEPS, TaskStory, tell_story
from raytrace_analyze.path.walk import Via
from raytrace_analyze.queues import Queues

__all__ = [
    "DRIVER",
    "QUEUE_CAUSES",
    "SEGMENTS",
    "STEPS",
    "Aggregates",
    "CriticalPath",
    "Queues",
    "Scope",
    "TaskStory",
    "Via",
    "aggregate_paths",
    "clock_offsets",
    "correct_clocks",
    "critical_path",
    "critical_paths",
    "path_aggregates",
    "queue_causes",
    "tell_story",
]
