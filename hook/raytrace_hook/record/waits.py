"""Spans of what a program waits for: `ray.get`, `ray.wait`, `await`, generator iteration; and of `ray.put`.

A span is made only when the call is over, with the start it had: a call that returns at once then costs next to
nothing. While it lasts, the record of open spans shows it.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import random
import threading
import time
from collections.abc import Sequence
from typing import Any, Callable

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import SpanContext, Status, StatusCode

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.output.encode import timestamp
from raytrace_hook.output.in_flight import OpenSpans
from raytrace_hook.ray import internals, patches
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record import helpers
from raytrace_hook.record.attributes import add_one
from raytrace_hook.record.call_sites import call_site, called_by_ray
from raytrace_hook.record.futures import waited_future

_covered: contextvars.ContextVar[bool] = contextvars.ContextVar("raytrace_covered", default=False)
"""True inside a call that has a span already: what Ray calls in there is part of it."""

_stored = threading.local()


class Wait:
    """A wait that goes on."""

    __slots__ = ("__weakref__", "context", "count", "key", "measured_ns", "name", "site", "start_ns")

    def __init__(self, name: str, count: int) -> None:
        self.start_ns = time.time_ns()
        self.name = name
        self.count = count
        """How many objects are asked for; 0 for a put."""
        self.key = random.getrandbits(64)
        """Its slot among the open spans."""
        self.context = context_api.get_current()
        self.site: str | None = None
        """Where the call was made; looked up at its end where it is still to be seen then."""
        self.measured_ns = self.start_ns
        """Where the call itself began, after our own work: what decides whether it was short."""


class Waits:
    """Records the waits of this process from now on."""

    def __init__(self, open_spans: OpenSpans, min_wait_ns: int) -> None:
        self._open_spans = open_spans
        self._min_wait_ns = min_wait_ns
        self._known_tracer: tuple[Any, trace.Tracer | None] = (None, None)

    def install(self) -> bool:
        """Patch Ray. Returns whether `ray.get` and `ray.wait` are recorded."""
        patches.patch_serialize(_remember_size)
        patches.patch_await(self._awaiting)
        patches.patch_future(waited_future(self.begin, self.end))
        patches.patch_next(self._next_sync, self._next_async)
        helpers.install(self.begin, self.end)
        return patches.patch_calls(lambda name: _Call(self, name))

    def begin(self, name: str, count: int) -> Wait | None:
        """Note that a wait starts in this context; what it returns goes to `end`."""
        try:
            return self._begin(name, count) if internals.tracing_is_on() else None
        except Exception as error:
            warn_once(f"a {name} could not be recorded", error)
            return None

    def _begin(self, name: str, count: int) -> Wait:
        wait = Wait(name, count)
        parent = trace.get_current_span(wait.context).get_span_context()
        if parent.trace_flags.sampled or not parent.is_valid:
            self._open_spans.set(wait.key, _open_record(wait, parent), wait)
        wait.measured_ns = time.time_ns()
        return wait

    def end(
        self,
        wait: Wait | None,
        attributes: Callable[[], dict[str, Any]],
        error: BaseException | None = None,
    ) -> None:
        """Record a wait that began with `begin` as a span, or only count it when it was short."""
        if wait is None:
            return
        end_ns = time.time_ns()
        try:
            if end_ns - wait.measured_ns < self._min_wait_ns:
                self._count_short(wait.context)
                return
            found = attributes()
            if wait.count:
                found[names.AWAITED_COUNT] = wait.count
            site = wait.site or call_site()
            if site is not None:
                found[names.CALL_SITE] = site
            span = self._tracer().start_span(
                wait.name, context=wait.context, attributes=found, start_time=wait.start_ns
            )
            if error is not None:
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"[:500]))
            self._open_spans.clear(wait.key)
            span.end(end_ns)
        except Exception as problem:
            warn_once(f"a {wait.name} could not be recorded", problem)
        finally:
            self._open_spans.clear(wait.key)

    def _tracer(self) -> trace.Tracer:
        # The SDK makes a new one for every question, at the price of half a span.
        provider = trace.get_tracer_provider()
        known, tracer = self._known_tracer
        if tracer is None or known is not provider:
            tracer = provider.get_tracer(__name__)
            self._known_tracer = provider, tracer
        return tracer

    def _count_short(self, context: Any) -> None:
        span = trace.get_current_span(context)
        if span.is_recording():
            add_one(span, names.SHORT_WAITS)

    def _awaiting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def wrap_future(future: Any, *arguments: Any, **keywords: Any) -> Any:
            reference = getattr(future, "object_ref", None)
            if reference is not None and not _covered.get() and not called_by_ray(1):
                wait = self.begin(names.AWAIT_SPAN, 1)
                if wait is not None:
                    wait.site = call_site()
                # Added before asyncio's own callback: the span is written before the coroutine goes on.
                future.add_done_callback(lambda done: self._awaited(wait, reference, done))
            return original(future, *arguments, **keywords)

        return wrap_future

    def _awaited(self, wait: Any, reference: Any, done: Any) -> None:
        if done.cancelled():
            self.end(wait, lambda: {names.READY_TASK_IDS: []}, concurrent.futures.CancelledError("cancelled"))
        else:
            self.end(wait, lambda: {names.READY_TASK_IDS: internals.task_ids_of([reference])}, done.exception())

    def _next_sync(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _next_sync(generator: Any, *arguments: Any, **keywords: Any) -> Any:
            if _covered.get() or called_by_ray(1):
                return original(generator, *arguments, **keywords)
            wait = self.begin(names.NEXT_SPAN, 1)
            token = _covered.set(True)
            item, problem = None, None
            try:
                item = original(generator, *arguments, **keywords)
                return item
            except BaseException as error:
                leave_out_this_frame(error)
                problem = error
                raise
            finally:
                _covered.reset(token)
                self._end_next(wait, generator, item, problem)

        return _next_sync

    def _next_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def _next_async(generator: Any, *arguments: Any, **keywords: Any) -> Any:
            if _covered.get() or called_by_ray(1):
                return await original(generator, *arguments, **keywords)
            wait = self.begin(names.NEXT_SPAN, 1)
            token = _covered.set(True)
            item, problem = None, None
            try:
                item = await original(generator, *arguments, **keywords)
                return item
            except BaseException as error:
                leave_out_this_frame(error)
                problem = error
                raise
            finally:
                _covered.reset(token)
                self._end_next(wait, generator, item, problem)

        return _next_async

    def _end_next(self, wait: Any, generator: Any, item: Any, problem: BaseException | None) -> None:
        is_over = isinstance(problem, (StopIteration, StopAsyncIteration))
        # After a time-out the item is a reference to nothing.
        came = [generator] if is_over or (item is not None and not item.is_nil()) else []
        self.end(wait, lambda: {names.READY_TASK_IDS: internals.task_ids_of(came)}, None if is_over else problem)


def _open_record(wait: Wait, parent: SpanContext) -> str:
    # Written out by hand: it is made for every wait, also for those too short to become a span.
    trace_id = parent.trace_id or random.getrandbits(128)
    parent_id = f'"0x{parent.span_id.to_bytes(8, "big").hex()}"' if parent.is_valid else "null"
    counted = f'"{names.AWAITED_COUNT}":{wait.count}' if wait.count else ""
    return (
        f'{{"name":"{wait.name}","context":{{"trace_id":"0x{trace_id.to_bytes(16, "big").hex()}",'
        f'"span_id":"0x{wait.key.to_bytes(8, "big").hex()}","trace_state":"[]"}},'
        f'"kind":"SpanKind.INTERNAL","parent_id":{parent_id},'
        f'"start_time":"{timestamp(wait.start_ns)}","end_time":null,"status":{{"status_code":"UNSET"}},'
        f'"attributes":{{{counted}}},"events":[],"links":[]}}'
    )


class _Call:
    """One call of `ray.get`, `ray.wait` or `ray.put`, told from the local variables of Ray's function."""

    __slots__ = ("_name", "_references", "_wait", "_waits")

    def __init__(self, waits: Waits, name: str) -> None:
        self._waits, self._name = waits, name
        self._wait: Any = None
        self._references: Sequence[Any] = ()

    def start(self, frame: Any) -> None:
        try:
            if _covered.get() or called_by_ray(2):
                return
            if self._name == names.PUT_SPAN:
                _stored.size = None
            else:
                self._references = _asked_for(frame.f_locals)
                if not self._references:
                    return
            self._wait = self._waits.begin(self._name, len(self._references))
        except Exception as error:
            warn_once(f"a {self._name} could not be recorded", error)

    def finish(self, frame: Any, error: BaseException | None) -> None:
        self._waits.end(self._wait, lambda: self._found(frame, error), error)

    def _found(self, frame: Any, error: BaseException | None) -> dict[str, Any]:
        if self._name == names.PUT_SPAN:
            size, _stored.size = getattr(_stored, "size", None), None
            return {} if size is None else {names.PUT_BYTES: size}
        if error is not None:
            token = _covered.set(True)
            try:
                ready = internals.ready_now(self._references)
            finally:
                _covered.reset(token)
        elif self._name == names.WAIT_SPAN:
            ready = list(frame.f_locals.get("ready_ids", ()))
        else:
            ready = list(self._references)
        return {names.READY_TASK_IDS: internals.task_ids_of(ready)}


def _asked_for(variables: dict[str, Any]) -> Sequence[Any]:
    asked: Any
    asked = variables["ray_waitables"] if "ray_waitables" in variables else variables["object_refs"]
    if internals.is_object_ref(asked):
        return (asked,)
    if isinstance(asked, list) and asked and _is_waitable(asked[0]):
        return tuple(asked)
    return ()


def _is_waitable(value: Any) -> bool:
    return internals.is_object_ref(value) or hasattr(value, "_generator_ref")


def _remember_size(original: Callable[..., Any]) -> Callable[..., Any]:
    def serialize(context: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            serialized = original(context, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        if getattr(_stored, "size", 0) is None:
            _stored.size = getattr(serialized, "total_bytes", None)
        return serialized

    return serialize
