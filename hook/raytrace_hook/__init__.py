"""A tracing hook for Ray: one span file per process, cheap, and complete even when the process is killed."""

from __future__ import annotations

from typing import Any

__all__ = ["note_exit", "runtime_env", "serve_span_processors", "setup_tracing", "step"]


def __getattr__(name: str) -> Any:
    # Looked up at the first use: on a node without OpenTelemetry the package must still import (see job.py).
    if name == "runtime_env":
        from raytrace_hook.job import runtime_env

        return runtime_env
    if name == "step":
        from raytrace_hook.steps import step

        return step
    if name == "note_exit":
        from raytrace_hook.record.program.exits import note_exit

        return note_exit
    if name in ("setup_tracing", "serve_span_processors"):
        from raytrace_hook import setup

        return getattr(setup, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
