"""The span processor: completes each span as it starts, and writes it into the process's file as it ends."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import SpanKind

from raytrace_hook import ray_internals
from raytrace_hook.encode import encode_span
from raytrace_hook.log import warn_once

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from raytrace_hook.in_flight import OpenSpans
    from raytrace_hook.process import ProcessResource
    from raytrace_hook.writer import SpanFile

RUN_SUFFIX = " ray.remote_worker"
_CANCELLATIONS = (KeyboardInterrupt, asyncio.CancelledError)


class SpanFileProcessor(SpanProcessor):
    """Writes each span the moment it ends: a process that is killed has lost nothing that had ended."""

    def __init__(self, file: SpanFile, resource: ProcessResource, open_spans: OpenSpans) -> None:
        self._file = file
        self._resource = resource
        self._open_spans = open_spans
        self._running: dict[int, str] = {}
        self._actor: tuple[Any, dict[str, Any]] = (None, {})
        os.register_at_fork(after_in_child=self._after_fork)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Add what is known of the task that the span belongs to, and show the span as open."""
        try:
            if span.kind is SpanKind.CONSUMER and span.name.endswith(RUN_SUFFIX):
                self._start_run(span)
            elif ray_internals.is_worker():
                self._adopt(span, parent_context)
            if span.kind is not SpanKind.PRODUCER and span.context.trace_flags.sampled:
                self._open_spans.set(span.context.span_id, encode_span(span) + "}")
        except Exception as error:
            warn_once("a span could not be completed", error)

    def _start_run(self, span: Span) -> None:
        if ray_internals.core_worker() is None:
            return
        found = ray_internals.current_task()
        attributes = span.attributes or {}
        if attributes.get("ray.remote") == "actor":
            known, facts = self._actor
            actor_id = attributes.get("ray.actor_id")
            if known != actor_id or actor_id is None:
                facts = ray_internals.current_actor()
                # While __init__ runs, the actor's object and its methods are not there yet to look at.
                if attributes.get("ray.actor_method") != "__init__":
                    self._actor = (actor_id, facts)
            found.update(facts)
        span.set_attributes(found)
        self._running[span.context.span_id] = found["ray.task_id"]

    def _adopt(self, span: Span, parent_context: Context | None) -> None:
        own: Any = getattr(span, "_attributes", {})
        if span.parent is None:
            # A thread without context: it is the task's that runs here, if that is only one. Ray itself knows the
            # task of no thread but the one that runs it, and gives the others an id that no task has.
            running = list(self._running.values())
            task_id = running[0] if len(running) == 1 else None
            if task_id is None or own.get("ray.task_id") in running:
                return
        elif "ray.task_id" in own:
            return
        else:
            parent = trace.get_current_span(parent_context)
            task_id = (getattr(parent, "attributes", None) or {}).get("ray.task_id")
        if task_id is not None:
            span.set_attribute("ray.task_id", task_id)

    def on_end(self, span: ReadableSpan) -> None:
        """Append the span to the file, then take it out of those that are open."""
        try:
            context = span.context
            if context is None:
                return
            run = self._running.pop(context.span_id, None)
            if not context.trace_flags.sampled:
                return
            extra = None
            if run is not None and isinstance(sys.exc_info()[1], _CANCELLATIONS):
                extra = {"raytrace.cancelled": True}
            line = f'{encode_span(span, extra)},"resource":{self._resource.encoded(span.resource)}}}\n'
            self._file.write(line.encode("ascii"))
            self._open_spans.clear(context.span_id)
        except Exception as error:
            warn_once("a span could not be written", error)

    def _after_fork(self) -> None:
        self._running = {}

    def shutdown(self) -> None:
        """Nothing is held back, so nothing is left to do."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: every span is in the file already."""
        return True
