"""The span processor: completes each span as it starts, and writes it into the process's file as it ends."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from operator import is_
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import SpanKind, TraceFlags

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.output.encode import encode_alike, encode_ended, encode_head, encode_open, encode_plain, timestamp
from raytrace_hook.ray import internals

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import SpanContext

    from raytrace_hook.output.in_flight import OpenSpans
    from raytrace_hook.output.writer import InputFile
    from raytrace_hook.record.process import ProcessResource

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
_DIFFERING = ("ray.task_id", names.TASK_NAME)
"""What differs between runs of one function, and of its other spans; the rest of their attributes hardly ever does."""
_DIFFERING_SUBMISSIONS = ("ray.actor_id", names.SUBMITTED_TASK_ID, names.DEPENDENCY_TASK_IDS, "ray.task_id")
_PRODUCER, _CONSUMER = SpanKind.PRODUCER, SpanKind.CONSUMER
_SAMPLED = TraceFlags.SAMPLED
_RUN_SUFFIX = names.RUN_SUFFIX
_CANCELLATIONS = (KeyboardInterrupt, asyncio.CancelledError)


class SpanFileProcessor(SpanProcessor):
    """Writes each span the moment it ends: a process that is killed has lost nothing that had ended."""

    def __init__(self, file: InputFile, resource: ProcessResource, open_spans: OpenSpans) -> None:
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
            private: Any = span
            try:  # past the SDK's properties, and the lock around its attributes: what is added here needs no check
                attributes = private._attributes._dict
                name, context, kind = private._name, private._context, private._kind
                parent, start_ns = private._parent, private._start_time
            except AttributeError:
                attributes = dict(span.attributes or {})
                name, context, kind = span.name, span.context, span.kind
                parent, start_ns = span.parent, span.start_time
            _, span_id, _, flags, _, _ = context
            is_run = kind is _CONSUMER and name.endswith(_RUN_SUFFIX)
            if is_run:
                self._start_run(span_id, attributes)
            elif self.in_worker:
                self._adopt(parent, attributes, parent_context)
            if kind is not _PRODUCER and flags & _SAMPLED:
                # Kept until the end, when most of it is still true and need not be encoded again.
                head = encode_head(name, context, kind, parent, start_ns)
                seen = attributes.copy()
                encoded = encode_alike(name, seen, _DIFFERING)
                self._started[span_id] = name, head, seen, encoded
                if not self._open_spans.set(span_id, encode_open(head, encoded)):
                    self._open_spans.set(span_id, encode_open(head, encode_plain(_essential(seen))))
        except Exception as error:
            warn_once("a span could not be completed", error)

    def show_alive(self, span_id: int) -> None:
        """Say in the record of an open span that its process still lives. The caller keeps it from ending meanwhile."""
        started = self._started.get(span_id)
        if started is not None:
            _, head, seen, _ = started
            alive = {names.ALIVE: timestamp(time.time_ns())}
            if not self._open_spans.renew(span_id, encode_open(head, encode_plain({**seen, **alive}))):
                self._open_spans.renew(span_id, encode_open(head, encode_plain({**_essential(seen), **alive})))

    def _start_run(self, span_id: int, attributes: dict[str, Any]) -> None:
        core = internals.core_worker()
        if core is None:
            return
        internals.add_current_task(core, attributes)
        if attributes.get("ray.remote") == "actor":
            known, facts = self._actor
            actor_id = attributes.get("ray.actor_id")
            if known != actor_id or actor_id is None:
                facts = internals.current_actor()
                # While __init__ runs, the actor's object and its methods are not there yet to look at.
                if attributes.get("ray.actor_method") != "__init__":
                    self._actor = (actor_id, facts)
            attributes.update(facts)
        self._running[span_id] = attributes["ray.task_id"]

    def _adopt(self, parent: SpanContext | None, attributes: dict[str, Any], parent_context: Context | None) -> None:
        if parent is None:
            # A thread without context: it is the task's that runs here, if that is only one. Ray itself knows the
            # task of no thread but the one that runs it, and gives the others an id that no task has.
            if len(self._running) == 1:
                attributes["ray.task_id"] = next(iter(self._running.values()))
        elif "ray.task_id" not in attributes:
            above = trace.get_current_span(parent_context)
            task_id = (getattr(above, "attributes", None) or {}).get("ray.task_id")
            if task_id is not None:
                attributes["ray.task_id"] = task_id

    def on_end(self, span: ReadableSpan) -> None:
        """Append the span to the file, then take it out of those that are open."""
        try:
            private: Any = span
            try:
                attributes = private._attributes._dict
                events, links = private._events._dq, private._links._dq
                name, context, resource = private._name, private._context, private._resource
                status, end_ns = private._status, private._end_time
            except AttributeError:
                attributes, events, links = dict(span.attributes or {}), span.events, span.links
                name, context, resource = span.name, span.context, span.resource
                status, end_ns = span.status, span.end_time
            if context is None:
                return
            _, span_id, _, flags, _, _ = context
            run = self._running.pop(span_id, None)
            started = self._started.pop(span_id, None)
            if not flags & _SAMPLED:
                return
            if run is not None and isinstance(sys.exc_info()[1], _CANCELLATIONS):
                attributes[names.CANCELLED] = True
            if started is not None and started[0] == name:
                _, head, seen, encoded = started
                # Equal is not enough where there may be others than ours: 1, 1.0 and True are.
                if attributes != seen or (run is None and not all(map(is_, attributes.values(), seen.values()))):
                    encoded = encode_plain(attributes.copy())
            else:
                head = encode_head(name, context, span.kind, span.parent, span.start_time)
                encoded = encode_alike(name, attributes.copy(), _DIFFERING_SUBMISSIONS)
            line = encode_ended(head, end_ns, status, encoded, events, links, self._resource.encoded(resource))
            if not self._file.write(line):
                self._resource.note_lost(self._file.lost)
            if started is not None:
                self._open_spans.clear(span_id)
        except Exception as error:
            warn_once("a span could not be written", error)

    def shutdown(self) -> None:
        """Nothing is held back, so nothing is left to do."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: every span is in the file already."""
        return True


def _essential(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: attributes[key] for key in _ESSENTIAL if key in attributes}
