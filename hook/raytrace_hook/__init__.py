"""A tracing hook for Ray: one span file per process, cheap, and complete even when the process is killed."""

from raytrace_hook.setup import setup_tracing

__all__ = ["setup_tracing"]
