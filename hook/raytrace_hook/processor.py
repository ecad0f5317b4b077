"""The span processor: completes each span as it starts, and writes it into the process's file as it ends."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import SpanKind

from raytrace_hook import names, ray_internals
from raytrace_hook.encode import encode_head, encode_open_tail, encode_plain, encode_tail, plain_attributes, timestamp
from raytrace_hook.log import warn_once

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from raytrace_hook.in_flight import OpenSpans
    from raytrace_hook.process import ProcessResource
    from raytrace_hook.writer import SpanFile

_ESSENTIAL = (
    "ray.task_id",
    names.ATTEMPT,
    "ray.job_id",
    "ray.pid",
    "ray.actor_id",
    "ray.actor_method",
    names.TASK_NAME,
    names.CONCURRENT,
)
"""What an open span still says when all of it is too long for its slot."""
_CANCELLATIONS = (KeyboardInterrupt, asyncio.CancelledError)


class SpanFileProcessor(SpanProcessor):
    """Writes each span the moment it ends: a process that is killed has lost nothing that had ended."""

    def __init__(self, file: SpanFile, resource: ProcessResource, open_spans: OpenSpans) -> None:
        self._file = file
        self._resource = resource
        self._open_spans = open_spans
        self.in_worker = False
        """Whether the process is a Ray worker, where every span belongs to a task."""
        self._actor: tuple[Any, dict[str, Any]] = (None, {})
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._running: dict[int, str] = {}
        self._started: dict[int, tuple[str, str, dict[str, Any], str]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Add what is known of the task that the span belongs to, and show the span as open."""
        try:
            kind, context, attributes = span.kind, span.context, plain_attributes(span)
            if kind is SpanKind.CONSUMER and span.name.endswith(names.RUN_SUFFIX):
                self._start_run(context.span_id, attributes)
            elif self.in_worker:
                self._adopt(span, attributes, parent_context)
            if kind is not SpanKind.PRODUCER and context.trace_flags.sampled:
                # Kept until the end, when most of it is still true and need not be encoded again.
                head, seen = encode_head(span), dict(attributes)
                encoded = encode_plain(seen)
                self._started[context.span_id] = span.name, head, seen, encoded
                if not self._open_spans.set(context.span_id, head + encode_open_tail(encoded)):
                    self._open_spans.set(context.span_id, head + encode_open_tail(encode_plain(_essential(seen))))
        except Exception as error:
            warn_once("a span could not be completed", error)

    def show_alive(self, span_id: int) -> None:
        """Say in the record of an open span that its process still lives. The caller keeps it from ending meanwhile."""
        started = self._started.get(span_id)
        if started is not None:
            _, head, seen, _ = started
            alive = {names.ALIVE: timestamp(time.time_ns())}
            if not self._open_spans.renew(span_id, head + encode_open_tail(encode_plain({**seen, **alive}))):
                self._open_spans.renew(span_id, head + encode_open_tail(encode_plain({**_essential(seen), **alive})))

    def _start_run(self, span_id: int, attributes: dict[str, Any]) -> None:
        core = ray_internals.core_worker()
        if core is None:
            return
        ray_internals.add_current_task(core, attributes)
        if attributes.get("ray.remote") == "actor":
            known, facts = self._actor
            actor_id = attributes.get("ray.actor_id")
            if known != actor_id or actor_id is None:
                facts = ray_internals.current_actor()
                # While __init__ runs, the actor's object and its methods are not there yet to look at.
                if attributes.get("ray.actor_method") != "__init__":
                    self._actor = (actor_id, facts)
            attributes.update(facts)
        self._running[span_id] = attributes["ray.task_id"]

    def _adopt(self, span: Span, attributes: dict[str, Any], parent_context: Context | None) -> None:
        if span.parent is None:
            # A thread without context: it is the task's that runs here, if that is only one. Ray itself knows the
            # task of no thread but the one that runs it, and gives the others an id that no task has.
            if len(self._running) == 1:
                attributes["ray.task_id"] = next(iter(self._running.values()))
        elif "ray.task_id" not in attributes:
            parent = trace.get_current_span(parent_context)
            task_id = (getattr(parent, "attributes", None) or {}).get("ray.task_id")
            if task_id is not None:
                attributes["ray.task_id"] = task_id

    def on_end(self, span: ReadableSpan) -> None:
        """Append the span to the file, then take it out of those that are open."""
        try:
            context = span.context
            if context is None:
                return
            run = self._running.pop(context.span_id, None)
            started = self._started.pop(context.span_id, None)
            if not context.trace_flags.sampled:
                return
            attributes = plain_attributes(span)
            if run is not None and isinstance(sys.exc_info()[1], _CANCELLATIONS):
                attributes[names.CANCELLED] = True
            if started is not None and started[0] == span.name:
                _, head, seen, encoded = started
                if attributes != seen:
                    encoded = encode_plain(dict(attributes))
            else:
                head, encoded = encode_head(span), encode_plain(dict(attributes))
            resource = self._resource.encoded(span.resource)
            line = f'{head}{encode_tail(span, encoded)},"resource":{resource}}}\n'.encode("ascii")
            if not self._file.write(line):
                self._resource.note_lost(self._file.lost)
            if started is not None:
                self._open_spans.clear(context.span_id)
        except Exception as error:
            warn_once("a span could not be written", error)

    def shutdown(self) -> None:
        """Nothing is held back, so nothing is left to do."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: every span is in the file already."""
        return True


def _essential(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: attributes[key] for key in _ESSENTIAL if key in attributes}
