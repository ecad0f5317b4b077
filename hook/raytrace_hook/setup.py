"""Switches the hook on: puts it together and hangs it into OpenTelemetry and Ray."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from raytrace_hook import generators, pickling, ray_internals, submits
from raytrace_hook.config import Settings
from raytrace_hook.driver import Driver
from raytrace_hook.in_flight import OpenSpans
from raytrace_hook.log import warn_once
from raytrace_hook.process import ProcessResource
from raytrace_hook.processor import SpanFileProcessor
from raytrace_hook.task_events import TaskEvents
from raytrace_hook.waits import Waits
from raytrace_hook.writer import SpanFile

_lock = threading.Lock()
_PRESENT = "_raytrace_processors"
_driver: Driver | None = None


def setup_tracing(
    span_processors: Sequence[SpanProcessor] = (),
    instrument: Sequence[str] = (),
    resource: Mapping[str, Any] | None = None,
) -> None:
    """Record this process's spans into a file; meant for Ray's tracing startup hook.

    A TracerProvider that exists already is extended, otherwise one is set. Calling it again changes nothing,
    apart from adding span processors of a type that was not there yet. It never raises: a failure is logged and
    the program goes on.

    Args:
        span_processors: more processors to add to the provider.
        instrument: names of OpenTelemetry instrumentations to switch on, like "requests".
        resource: more resource attributes, for a provider that is made here.
    """
    try:
        with _lock:
            provider = _set_up(resource or {})
            if provider is not None:
                _add(provider, span_processors)
        if _driver is not None:
            _driver.start()
    except Exception as error:
        warn_once("tracing could not be set up, the program goes on without", error)


def _set_up(extra_resource: Mapping[str, Any]) -> TracerProvider | None:
    existing = trace.get_tracer_provider()
    if hasattr(existing, _PRESENT) and isinstance(existing, TracerProvider):
        return existing
    settings = Settings.from_environment()
    file = SpanFile(settings.directory)
    process = ProcessResource()
    provider = existing if isinstance(existing, TracerProvider) else None
    open_spans = OpenSpans(file, lambda: process.encoded(resource))
    if settings.waits and ray_internals.global_worker() is not None:
        process.records_waits = Waits(open_spans, settings.min_wait_ns).install()
    if provider is None:
        provider = _new_provider({**process.attributes(), **extra_resource})
    if provider is None:
        return None
    resource = provider.resource
    provider.add_span_processor(SpanFileProcessor(file, process, open_spans))
    setattr(provider, _PRESENT, {SpanFileProcessor})
    _install_in_ray(settings, file)
    return provider


def _new_provider(attributes: dict[str, Any]) -> TracerProvider | None:
    told = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not told:
        attributes.setdefault("service.name", "ray")
    provider = TracerProvider(resource=Resource.create(attributes))
    trace.set_tracer_provider(provider)
    if trace.get_tracer_provider() is not provider:
        warn_once("the program's tracer provider is not the OpenTelemetry SDK's: nothing is recorded")
        return None
    return provider


def _add(provider: TracerProvider, processors: Sequence[SpanProcessor]) -> None:
    present = getattr(provider, _PRESENT)
    for processor in processors:
        if type(processor) not in present:
            provider.add_span_processor(processor)
    present.update(type(processor) for processor in processors)


def _install_in_ray(settings: Settings, file: SpanFile) -> None:
    global _driver  # noqa: PLW0603 - one driver per process, found again when the hook is called again
    if ray_internals.global_worker() is None:
        return
    pickling.install()
    submits.install()
    if ray_internals.is_worker():
        generators.install()
    else:
        events = TaskEvents(file, settings.events_interval_s, settings.events_wait_s)
        _driver = Driver(file, events, with_span=settings.waits)
        _driver.install()
