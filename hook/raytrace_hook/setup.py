"""Switches the hook on: puts it together and hangs it into OpenTelemetry and Ray."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from raytrace_hook import instruments, live
from raytrace_hook.config import Settings
from raytrace_hook.log import warn_once
from raytrace_hook.output.encode import redact_with
from raytrace_hook.output.in_flight import LONG_SLOT_BYTES, OpenSpans
from raytrace_hook.output.redact import Redactor
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.ray import internals, pickling, tracebacks, tracing_patches
from raytrace_hook.record import endings, submits, turns, unprintable
from raytrace_hook.record.calls import awaits, futures, get_wait_put, helpers, iteration
from raytrace_hook.record.generators import bodies
from raytrace_hook.record.libraries import (
    batches,
    compiled_graphs,
    datasets,
    serve,
    serve_batches,
    serve_handlers,
    serve_models,
    serve_responses,
    serve_routes,
    steps,  # noqa: F401 - from here on, marks of steps are recorded
    train,
    tune,
)
from raytrace_hook.record.origin import callers
from raytrace_hook.record.process import ProcessResource
from raytrace_hook.record.processor import SpanFileProcessor
from raytrace_hook.record.program.driver import Driver
from raytrace_hook.record.task_events import TaskEvents
from raytrace_hook.record.waiting import deliveries, placement, suspensions
from raytrace_hook.record.waiting.waits import Waits
from raytrace_hook.spans import carried, ids, job_trace, runs, submissions
from raytrace_hook.spans.makers import Makers

_lock = threading.Lock()
_PRESENT = "_raytrace_processors"
_KEEPS_ALL = ("AlwaysOn", "ParentBased{root:AlwaysOn")
_driver: Driver | None = None
_recorder: _Recorder | None = None


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
                instruments.switch_on((*Settings.from_environment().instrument, *instrument))
        if _driver is not None:
            _driver.start()
    except Exception as error:
        warn_once("tracing could not be set up, the program goes on without", error)


def serve_span_processors() -> list[SpanProcessor]:
    """Return the span processors for Ray Serve, which loads this function by name.

    `RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH=raytrace_hook:serve_span_processors`, or `exporter_import_path` in
    Serve's tracing configuration. Where the hook records the process already there is nothing to add.
    """
    with _lock:
        if hasattr(trace.get_tracer_provider(), _PRESENT):
            return []
        return [_Recorder(Settings.from_environment()).processor]


class _Recorder:
    """What writes the files of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        redact_with(None if settings.redact is None else Redactor(settings.redact))
        limits = settings.max_file_bytes, settings.max_directory_bytes, settings.keep_days
        self.file = SpanFile(settings.directory, *limits)
        self.process = ProcessResource()
        self.resource = Resource.get_empty()
        self.open_spans = OpenSpans(self.file, self._header_resource)
        long_spans = OpenSpans(self.file, self._header_resource, LONG_SLOT_BYTES)
        self.processor = SpanFileProcessor(self.file, self.process, self.open_spans)
        self.sampler = self.processor.sample(settings.sample_s, long_spans, waits_recorded=settings.waits)
        self.processors: list[SpanProcessor] = [self.processor]
        """What the spans of this process go through."""
        self.makers = Makers(self.processor)
        self.waits: Waits | None = None
        self.in_ray = False

    def _header_resource(self) -> str:
        return self.process.encoded(self.resource)


def _set_up(extra_resource: Mapping[str, Any]) -> TracerProvider | None:
    global _recorder  # noqa: PLW0603 - found again when the hook is called again
    existing = trace.get_tracer_provider()
    if _recorder is not None and hasattr(existing, _PRESENT) and isinstance(existing, TracerProvider):
        _install_in_ray(_recorder)  # it may not have been loaded the last time
        return existing
    _recorder = _Recorder(Settings.from_environment())
    _record_waits(_recorder)  # before the provider is made, whose resource says whether they are
    provider = existing if isinstance(existing, TracerProvider) else None
    if provider is None:
        provider = _new_provider({**_recorder.process.attributes(), **extra_resource})
    if provider is None:
        return None
    recorder = _recorder
    recorder.resource = provider.resource
    sampler = provider.sampler.get_description()
    if not sampler.startswith(_KEEPS_ALL):
        recorder.process.note_sampler(sampler)
    provider.add_span_processor(recorder.processor)
    setattr(provider, _PRESENT, {SpanFileProcessor})
    sending = live.otlp_processor()
    if sending is not None:
        provider.add_span_processor(sending)
        recorder.processors.append(sending)
    serve.install(lambda: recorder.processors, lambda: recorder.resource)
    serve_handlers.install(recorder.processor.watch_here)
    serve_models.install()
    serve_routes.install()
    _install_in_ray(recorder)  # after the provider is made: the driver's span ends before it is shut down
    return provider


def _new_provider(attributes: dict[str, Any]) -> TracerProvider | None:
    told = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not told:
        attributes.setdefault("service.name", "ray")
    provider = TracerProvider(resource=Resource.create(attributes), id_generator=ids.OwnIds())
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


def _record_waits(recorder: _Recorder) -> None:
    settings = recorder.settings
    if settings.waits and recorder.waits is None and internals.global_worker() is not None:
        recorder.waits = waits = Waits(recorder.open_spans, settings.min_wait_ns, recorder.makers)
        deliver = deliveries.delivering(waits)
        awaits.install(waits)
        batches.install(waits)
        compiled_graphs.install(waits)
        datasets.install(waits)
        deliveries.install(deliver)
        endings.install(waits)
        futures.install(waits.begin, waits.end, deliver)
        iteration.install(waits)
        placement.install(waits)
        helpers.install(waits.begin, waits.end)
        serve_batches.install(waits)
        serve_responses.install(waits)
        train.install(waits)
        tune.install(waits)
        recorder.process.note_waits(get_wait_put.install(waits))


def _install_in_ray(recorder: _Recorder) -> None:
    global _driver  # noqa: PLW0603 - one driver per process, found again when the hook is called again
    if recorder.in_ray or internals.global_worker() is None:
        return
    recorder.in_ray = True
    settings = recorder.settings
    _record_waits(recorder)
    pickling.install()
    carried.install()  # before others look at what comes with a call
    makers = recorder.makers
    submissions.install(makers)
    can_replace_runs = tracing_patches.can_replace_runs()
    if can_replace_runs:  # as in the workers, which have the same version of Ray
        job_trace.install()
    submits.install()
    if internals.is_worker():
        recorder.processor.in_worker = True
        callers.install()
        waits = recorder.waits
        replaced = makers if can_replace_runs else None
        tracing_patches.patch_functions(lambda function: _function(function, waits, replaced))
        tracing_patches.patch_methods(lambda method, name: _recorded(method, name, waits, replaced))
        turns.install()
        tracing_patches.patch_error_texts(tracebacks.formatting)
        tracing_patches.patch_use_span(unprintable.letting_through)
    else:
        events = TaskEvents(recorder.file, settings.events_interval_s, settings.events_wait_s)
        waits = recorder.waits
        before_end = (lambda: None) if waits is None else (lambda: datasets.tell_open(waits))
        _driver = Driver(recorder.file, events, recorder.processor, before_end, with_span=settings.waits)
        _driver.install()


def _function(function: Callable[..., Any], waits: Waits | None, makers: Makers | None) -> Callable[..., Any] | None:
    """Return what is run for a task's function in place of Ray's tracing of it; None: Ray's own."""
    if tracing_patches.is_generator(function):
        return bodies.traced_function(function, waits)
    return None if makers is None else runs.traced_function(function, makers)


def _recorded(method: Callable[..., Any], name: str, waits: Waits | None, makers: Makers | None) -> Callable[..., Any]:
    """Return the same method of an actor, with what Ray leaves out of its run."""
    if tracing_patches.is_generator(method):
        return bodies.traced_method(method, name, waits)
    if makers is not None and tracing_patches.is_traced(method, tracing_patches.TRACED_METHOD):
        method = runs.traced_method(method.__wrapped__, makers, turns.ask_for_none)  # type: ignore[attr-defined] # as was asked for
    if waits is not None and inspect.iscoroutinefunction(method):
        return suspensions.watched(method, waits)
    return method
