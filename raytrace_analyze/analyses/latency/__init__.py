"""Latency per task: how long runs, submits and queues took, by function or by place."""

from raytrace_analyze.analyses.latency.result import QUANTILES, TIMES, LatencyStats
from raytrace_analyze.analyses.latency.stats import latency_stats, timed_spans

__all__ = ["QUANTILES", "TIMES", "LatencyStats", "latency_stats", "timed_spans"]
