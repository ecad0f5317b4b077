"""Ray Serve's own spans beside ours: its provider keeps its sampler, and each request is a trace of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals, serve_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.spans import ids

_EXPORTER = "raytrace_hook:serve_span_processors"
_PROXY_SPAN = "proxy_"
"""What the names of spans of requests at a proxy begin with."""


def install(processors: Callable[[], list[SpanProcessor]], resource: Callable[[], Resource]) -> None:
    """Let Serve, when it is loaded, have a tracer provider of its own that writes where we do."""

    def adopt(provider: Any) -> None:
        provider._resource = resource()
        ids.draw_own_ids(provider)
        for processor in processors():
            provider.add_span_processor(processor)

    def patch() -> None:
        serve_patches.patch_serve_provider(_Provider(adopt))
        serve_patches.patch_serve_context(_without_ended, _in_its_run)
        serve_patches.patch_serve_stack(_appending, _popping)
        serve_patches.patch_serve_exporter(_EXPORTER)

    when_loaded(internals.SERVE_TRACING_MODULE, patch)
    when_loaded(internals.SERVE_PROXY_MODULE, lambda: serve_patches.patch_serve_proxy(_answering))


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


def _appending(original: Callable[..., Any], stack: ContextVar[Any]) -> Callable[..., Any]:
    """Wrap what makes a span the present one. In Serve, tasks that run at once share the list of those that are open.

    There one takes the other's span out of it, and what Serve has to say of a request goes to another one's span, or to
    one that has ended.
    """

    def _append_trace_stack(span: Any) -> None:
        stack.set([*_open_ones(stack), span])

    return _append_trace_stack


def _popping(original: Callable[..., Any], stack: ContextVar[Any]) -> Callable[..., Any]:
    """Wrap what takes the span that has just ended out again."""

    def _pop_trace_stack() -> None:
        stack.set(_open_ones(stack))

    return _pop_trace_stack


def _open_ones(stack: ContextVar[Any]) -> list[Any]:
    return [span for span in stack.get([]) if span.is_recording()]


def _answering(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what answers a client over HTTP: its answer is complete before Serve has done with the request."""

    async def __call__(proxy: Any, scope: Any, receive: Any, send: Any) -> Any:
        async def answer(message: Any) -> None:
            try:
                await send(message)
            except BaseException as error:
                leave_out_this_frame(error)
                raise
            _note_answer(message)

        try:
            return await original(proxy, scope, receive, answer)
        except BaseException as error:
            leave_out_this_frame(error)
            raise

    return __call__


def _note_answer(message: Any) -> None:
    try:
        if message.get("type") != "http.response.body" or message.get("more_body"):
            return
        for span in serve_patches.serve_spans()[-1:]:
            if span.is_recording() and span.name.startswith(_PROXY_SPAN):
                span.set_attribute(names.ANSWERED_NS, time.time_ns())
    except Exception as error:
        warn_once("when a request was answered could not be recorded", error)
