"""Decoders: one module a format, all giving the same columns."""

from raytrace_analyze.decode.dispatch import JOINABLE, decode_file, decode_small_files
from raytrace_analyze.decode.task_events import decode_task_events

__all__ = ["JOINABLE", "decode_file", "decode_small_files", "decode_task_events"]
