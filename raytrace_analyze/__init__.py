"""Tells from OpenTelemetry span files why a Ray job took as long as it did.

    import raytrace_analyze as rt
    spans = rt.read_spans("/tmp/spans")
    path = rt.critical_path(spans)
    print(path.makespan_ns, path.by("function"))

Names load their modules when first used, so that `import raytrace_analyze` is quick. It imports nothing itself: that
would take longer than all that the program does before it sees to it that Ctrl-C is quiet.
"""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from raytrace_analyze.advice import advise
    from raytrace_analyze.analyses.clock_offsets import clock_offsets, correct_clocks
    from raytrace_analyze.analyses.cluster_use import ClusterUse, cluster_use
    from raytrace_analyze.analyses.diff import RunDiff, diff
    from raytrace_analyze.analyses.evidence import Evidence, evidence
    from raytrace_analyze.analyses.inventory import jobs, traces
    from raytrace_analyze.analyses.latency import LatencyStats, latency_stats
    from raytrace_analyze.analyses.libraries.data.table import data
    from raytrace_analyze.analyses.libraries.serve.table import serve
    from raytrace_analyze.analyses.libraries.steps.table import steps
    from raytrace_analyze.analyses.libraries.train.table import train
    from raytrace_analyze.analyses.libraries.tune.table import tune
    from raytrace_analyze.analyses.queue_causes import queue_causes
    from raytrace_analyze.analyses.slack import slack
    from raytrace_analyze.analyses.span_graph import span_graph
    from raytrace_analyze.analyses.stuck.hang import Hang, hang
    from raytrace_analyze.analyses.stuck.running import Running, running
    from raytrace_analyze.analyses.task_story import TaskStory, tell_story
    from raytrace_analyze.analyses.trace_tree import TraceTree, trace_tree
    from raytrace_analyze.analyses.what_if import WhatIf, what_if
    from raytrace_analyze.diagnosis.doctor import doctor
    from raytrace_analyze.diagnosis.finding import Diagnosis, Finding
    from raytrace_analyze.errors import DamagedInputError, NoSpansError, RaytraceError, UsageError
    from raytrace_analyze.exports.export import export
    from raytrace_analyze.ingest.loading import Ingested, load, read_spans
    from raytrace_analyze.ingest.report import IngestReport
    from raytrace_analyze.path.aggregate import path_aggregates
    from raytrace_analyze.path.all_scopes import critical_paths
    from raytrace_analyze.path.one_scope import critical_path
    from raytrace_analyze.path.options import PathOptions
    from raytrace_analyze.path.result import CriticalPath
    from raytrace_analyze.prepared import PreparedTrace, prepare
    from raytrace_analyze.report.build import html_report
    from raytrace_analyze.table.assemble import write_table
    from raytrace_analyze.table.events.attempts import with_task_events
    from raytrace_analyze.verdict.result import Summary
    from raytrace_analyze.verdict.summary import summary

_HOME = {
    "Summary": "verdict.result",
    "summary": "verdict.summary",
    "CriticalPath": "path.result",
    "ClusterUse": "analyses.cluster_use",
    "clock_offsets": "analyses.clock_offsets",
    "cluster_use": "analyses.cluster_use",
    "correct_clocks": "analyses.clock_offsets",
    "critical_path": "path.one_scope",
    "critical_paths": "path.all_scopes",
    "TaskStory": "analyses.task_story",
    "path_aggregates": "path.aggregate",
    "queue_causes": "analyses.queue_causes",
    "tell_story": "analyses.task_story",
    "TraceTree": "analyses.trace_tree",
    "trace_tree": "analyses.trace_tree",
    "RunDiff": "analyses.diff",
    "diff": "analyses.diff",
    "DamagedInputError": "errors",
    "NoSpansError": "errors",
    "RaytraceError": "errors",
    "UsageError": "errors",
    "export": "exports.export",
    "Diagnosis": "diagnosis.finding",
    "Finding": "diagnosis.finding",
    "doctor": "diagnosis.doctor",
    "Evidence": "analyses.evidence",
    "evidence": "analyses.evidence",
    "Hang": "analyses.stuck.hang",
    "hang": "analyses.stuck.hang",
    "html_report": "report.build",
    "span_graph": "analyses.span_graph",
    "Ingested": "ingest.loading",
    "IngestReport": "ingest.report",
    "load": "ingest.loading",
    "read_spans": "ingest.loading",
    "jobs": "analyses.inventory",
    "traces": "analyses.inventory",
    "data": "analyses.libraries.data.table",
    "serve": "analyses.libraries.serve.table",
    "LatencyStats": "analyses.latency",
    "latency_stats": "analyses.latency",
    "steps": "analyses.libraries.steps.table",
    "train": "analyses.libraries.train.table",
    "tune": "analyses.libraries.tune.table",
    "advise": "advice",
    "Running": "analyses.stuck.running",
    "running": "analyses.stuck.running",
    "slack": "analyses.slack",
    "WhatIf": "analyses.what_if",
    "what_if": "analyses.what_if",
    "write_table": "table.assemble",
    "PathOptions": "path.options",
    "PreparedTrace": "prepared",
    "prepare": "prepared",
    "with_task_events": "table.events.attempts",
}

__all__ = [
    "ClusterUse",
    "CriticalPath",
    "DamagedInputError",
    "Diagnosis",
    "Evidence",
    "Finding",
    "Hang",
    "IngestReport",
    "Ingested",
    "LatencyStats",
    "NoSpansError",
    "PathOptions",
    "PreparedTrace",
    "RaytraceError",
    "RunDiff",
    "Running",
    "Summary",
    "TaskStory",
    "TraceTree",
    "UsageError",
    "WhatIf",
    "advise",
    "clock_offsets",
    "cluster_use",
    "correct_clocks",
    "critical_path",
    "critical_paths",
    "data",
    "diff",
    "doctor",
    "evidence",
    "export",
    "hang",
    "html_report",
    "jobs",
    "latency_stats",
    "load",
    "path_aggregates",
    "prepare",
    "queue_causes",
    "read_spans",
    "running",
    "serve",
    "slack",
    "span_graph",
    "steps",
    "summary",
    "tell_story",
    "trace_tree",
    "traces",
    "train",
    "tune",
    "what_if",
    "with_task_events",
    "write_table",
]


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("raytrace-analyze")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"])
