"""Switches the hook on: puts it together and hangs it into OpenTelemetry."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from raytrace_hook.config import Settings
from raytrace_hook.log import warn_once
from raytrace_hook.process import ProcessResource
from raytrace_hook.processor import SpanFileProcessor
from raytrace_hook.writer import SpanFile

_lock = threading.Lock()
_MARK = "_raytrace_processors"


def setup_tracing(
    span_processors: Sequence[SpanProcessor] = (),
    instrument: Sequence[str] = (),
    resource: Mapping[str, Any] | None = None,
) -> None:
    """Record this process's spans into a file; meant for Ray's tracing startup hook.

    A TracerProvider that exists already is extended, otherwise one is set. Calling it again changes nothing, apart from
    adding span processors of a type that was not there yet. It never raises: a failure is logged and the program goes on.

    Args:
        span_processors: more processors to add to the provider.
        instrument: names of OpenTelemetry instrumentations to switch on, like "requests".
        resource: more resource attributes, for a provider that is made here.
    """
    try:
        with _lock:
            _set_up(span_processors, resource or {})
    except Exception as error:
        warn_once("tracing could not be set up, the program goes on without", error)


def _set_up(span_processors: Sequence[SpanProcessor], resource: Mapping[str, Any]) -> None:
    settings = Settings.from_environment()
    process = ProcessResource(records_waits=False)
    provider = _provider(process, resource)
    if provider is None:
        return
    present = getattr(provider, _MARK, None)
    if present is None:
        ours = SpanFileProcessor(SpanFile(settings.directory), process)
        provider.add_span_processor(ours)
        present = {SpanFileProcessor}
        setattr(provider, _MARK, present)
    for processor in span_processors:
        if type(processor) not in present:
            provider.add_span_processor(processor)
    present.update(type(processor) for processor in span_processors)


def _provider(process: ProcessResource, resource: Mapping[str, Any]) -> TracerProvider | None:
    existing = trace.get_tracer_provider()
    if isinstance(existing, TracerProvider):
        return existing
    attributes = {**process.attributes(), **resource}
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes.setdefault("service.name", "ray")
    provider = TracerProvider(resource=Resource.create(attributes))
    trace.set_tracer_provider(provider)
    if trace.get_tracer_provider() is not provider:
        warn_once("the program's tracer provider is not the OpenTelemetry SDK's: nothing is recorded")
        return None
    return provider
