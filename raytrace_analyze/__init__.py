"""Tells from OpenTelemetry span files why a Ray job took as long as it did.

    import raytrace_analyze as rt
    spans = rt.read_spans("/tmp/spans")
    path = rt.critical_path(spans)
    print(path.makespan, path.by("function"))

Names load their modules when first used, so that `import raytrace_analyze` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raytrace_analyze.advice import advise
    from raytrace_analyze.comparison import RunDiff, diff
    from raytrace_analyze.errors import DamagedInputError, NoSpansError, RaytraceError, UsageError
    from raytrace_analyze.graph import span_graph
    from raytrace_analyze.ingest import Ingested, IngestReport, load, read_spans
    from raytrace_analyze.inventory import jobs, traces
    from raytrace_analyze.leeway import slack
    from raytrace_analyze.path import (
        CriticalPath,
        TaskStory,
        clock_offsets,
        correct_clocks,
        critical_path,
        critical_paths,
        path_aggregates,
        queue_causes,
        tell_story,
    )
    from raytrace_analyze.prediction import WhatIf, what_if
    from raytrace_analyze.stats import latency_stats
    from raytrace_analyze.table import write_table

_HOME = {
    "CriticalPath": "path",
    "clock_offsets": "path",
    "correct_clocks": "path",
    "critical_path": "path",
    "critical_paths": "path",
    "TaskStory": "path",
    "path_aggregates": "path",
    "queue_causes": "path",
    "tell_story": "path",
    "RunDiff": "comparison",
    "diff": "comparison",
    "DamagedInputError": "errors",
    "NoSpansError": "errors",
    "RaytraceError": "errors",
    "UsageError": "errors",
    "span_graph": "graph",
    "Ingested": "ingest",
    "IngestReport": "ingest",
    "load": "ingest",
    "read_spans": "ingest",
    "jobs": "inventory",
    "traces": "inventory",
    "latency_stats": "stats",
    "advise": "advice",
    "slack": "leeway",
    "WhatIf": "prediction",
    "what_if": "prediction",
    "write_table": "table",
}

__all__ = [
    "CriticalPath",
    "DamagedInputError",
    "IngestReport",
    "Ingested",
    "NoSpansError",
    "RaytraceError",
    "RunDiff",
    "TaskStory",
    "UsageError",
    "WhatIf",
    "advise",
    "clock_offsets",
    "correct_clocks",
    "critical_path",
    "critical_paths",
    "diff",
    "jobs",
    "latency_stats",
    "load",
    "path_aggregates",
    "queue_causes",
    "read_spans",
    "slack",
    "span_graph",
    "tell_story",
    "traces",
    "what_if",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
