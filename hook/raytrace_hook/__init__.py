"""A tracing hook for Ray: one span file per process, cheap, and complete even when the process is killed."""
