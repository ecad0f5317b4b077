"""Sends spans to an OpenTelemetry backend beside the file, as the standard variables say."""

from __future__ import annotations

import importlib
import os
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from raytrace_hook.log import warn_once

_EXPORTERS = {
    "http/protobuf": ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "proto-http"),
    "grpc": ("opentelemetry.exporter.otlp.proto.grpc.trace_exporter", "proto-grpc"),
}
_DELAY_MS = 200
"""Ray's workers are killed without a word: what waits longer in a batch is lost."""


def otlp_processor() -> SpanProcessor | None:
    """Return a processor that sends in batches from the background; None when no endpoint is set (or no exporter)."""
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return None
    if not _variable("ENDPOINT"):
        return None
    wanted = _variable("PROTOCOL")
    for protocol, (module, package) in _EXPORTERS.items():
        if wanted and wanted != protocol:
            continue
        try:
            exporter: Any = importlib.import_module(module).OTLPSpanExporter()
        except ImportError:
            missing = package
            continue
        delay = None if os.environ.get("OTEL_BSP_SCHEDULE_DELAY") else _DELAY_MS
        return BatchSpanProcessor(exporter, schedule_delay_millis=delay)
    if wanted and wanted not in _EXPORTERS:
        warn_once(f"the OTLP protocol {wanted!r} is not known: {', '.join(_EXPORTERS)} are")
    else:
        warn_once(f"spans are not sent: install opentelemetry-exporter-otlp-{missing}")
    return None


def _variable(name: str) -> str:
    return os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")
