"""Decoders: one module a format, all giving the same columns."""

from raytrace_analyze.decode.dispatch import decode_file
from raytrace_analyze.decode.task_events import decode_task_events

__all__ = ["decode_file", "decode_task_events"]
