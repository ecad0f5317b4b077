"""Ray Serve's own spans beside ours: its provider keeps its sampler, and each request is a trace of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor

from raytrace_hook.ray import internals, patches
from raytrace_hook.ray.patching import when_loaded

_EXPORTER = "raytrace_hook:serve_span_processors"


def install(processors: Callable[[], list[SpanProcessor]], resource: Callable[[], Resource]) -> None:
    """Let Serve, when it is loaded, have a tracer provider of its own that writes where we do."""

    def adopt(provider: Any) -> None:
        provider._resource = resource()
        for processor in processors():
            provider.add_span_processor(processor)

    def patch() -> None:
        patches.patch_serve_provider(_Provider(adopt))
        patches.patch_serve_context(_without_ended, _in_its_run)
        patches.patch_serve_exporter(_EXPORTER)

    when_loaded(internals.SERVE_TRACING_MODULE, patch)


class _Provider:
    """What stands for OpenTelemetry's global provider in Serve's tracing."""

    def __init__(self, adopt: Callable[[Any], None]) -> None:
        self._adopt = adopt
        self._own: Any = None

    def set_tracer_provider(self, provider: Any) -> None:
        """Take Serve's provider; the process has one already."""
        self._adopt(provider)
        self._own = provider

    def get_tracer_provider(self) -> Any:
        """Return Serve's provider, before it has one the process's."""
        return self._own or trace.get_tracer_provider()

    def get_tracer(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Return a tracer of that provider."""
        return self.get_tracer_provider().get_tracer(name, *arguments, **keywords)


def _without_ended(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what tells a span's context: what Serve starts in an actor's creation would stay under it for ever."""

    def get_trace_context() -> Any:
        context = original()
        span = trace.get_current_span(context)
        if getattr(span, "end_time", None) is not None:
            return trace.set_span_in_context(trace.INVALID_SPAN, context)
        return context

    return get_trace_context


def _in_its_run(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what tells where a request comes from: in the run of the call that brought it here, it is part of that."""

    def extract_propagated_context(propagated_context: Any = None) -> Any:
        context = original(propagated_context)
        if context:
            here, sent = trace.get_current_span(), trace.get_current_span(context).get_span_context()
            if here.is_recording() and here.get_span_context().trace_id == sent.trace_id:
                return trace.set_span_in_context(here)
        return context

    return extract_propagated_context
