"""The tracing hooks that a user may have, writing where SPANS_DIR says instead of into /tmp, else unchanged.

An import string for Ray takes one: `capture_hooks:stock`, `capture_hooks:doc`, `capture_hooks:doc_old`.
"""

import os

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor


def stock() -> None:
    """Ray's own ray.util.tracing.setup_local_tmp_tracing, told another folder: one JSON object a line."""
    from ray.util.tracing import setup_local_tmp_tracing

    setup_local_tmp_tracing.spans_dir = f"{os.environ['SPANS_DIR']}/"
    setup_local_tmp_tracing.setup_tracing()


def doc() -> None:
    """As Ray's documentation has it: pretty-printed, /tmp/spans/<pid>.json opened with "w"."""
    _export_pretty(f"{os.environ['SPANS_DIR']}/{os.getpid()}.json", "w")


def doc_old() -> None:
    """As Ray's documentation had it: pretty-printed, /tmp/spans_file<pid>.json opened with "a"."""
    _export_pretty(f"{os.environ['SPANS_DIR']}/spans_file{os.getpid()}.json", "a")


def _export_pretty(path: str, mode: str) -> None:
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(
        SimpleSpanProcessor(ConsoleSpanExporter(out=open(path, mode)))  # noqa: SIM115, PTH123 - the documentation's way
    )
