"""Spans of generator tasks that cover the whole body.

Ray's own span of a generator function ends when the generator has been made, before its body begins; generator
methods of actors get none at all.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, Callable

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from raytrace_hook.log import warn_once
from raytrace_hook.names import RUN_SUFFIX
from raytrace_hook.ray import internals, tracing_patches
from raytrace_hook.ray.tracebacks import error_text
from raytrace_hook.record.generators.items import Items, Watched
from raytrace_hook.record.turns import CARRIED_BACK_PRESSURE
from raytrace_hook.record.waiting.suspensions import Steps, waits_for_itself
from raytrace_hook.record.waiting.waits import Waits
from raytrace_hook.spans import ids
from raytrace_hook.spans.present import Present


def traced_function(function: Callable[..., Any], waits: Waits | None) -> Callable[..., Any]:
    """Return the same generator function, covered by its span; with what it waits for, where asked."""
    name = f"{function.__module__}.{function.__name__}"
    return _traced(function, lambda _: (name, None), waits)


def traced_method(method: Callable[..., Any], name: str, waits: Waits | None) -> Callable[..., Any]:
    """Return the same generator method, covered by its span."""
    return _traced(method, lambda arguments: (type(arguments[0]).__name__, name), waits)


def _traced(
    body: Callable[..., Any], naming: Callable[[Any], tuple[str, str | None]], waits: Waits | None
) -> Callable[..., Any]:
    @functools.wraps(body)
    def run(*arguments: Any, _ray_trace_ctx: Any = None, **keywords: Any) -> Generator[Any, Any, Any]:
        with _run_span(_ray_trace_ctx, naming, arguments, waits) as items:
            return (yield from Watched(body(*arguments, **keywords), items))

    @functools.wraps(body)
    async def run_async(*arguments: Any, _ray_trace_ctx: Any = None, **keywords: Any) -> AsyncIterator[Any]:
        with _run_span(_ray_trace_ctx, naming, arguments, waits) as items:
            generator = body(*arguments, **keywords)
            function = inspect.unwrap(body)
            watched = None if waits_for_itself(function) else waits
            sent = None
            try:
                while True:
                    # Ray sends values into generators, which the body may look at.
                    step = generator.asend(sent)
                    item = await (step if watched is None else Steps(step, function.__code__, watched, generator))
                    items.come()
                    sent = yield item
                    items.go_on(sent)
            except StopAsyncIteration:
                return
            finally:
                await generator.aclose()

    return run_async if inspect.isasyncgenfunction(inspect.unwrap(body)) else run


@contextlib.contextmanager
def _run_span(
    carrier: Any, naming: Callable[[Any], tuple[str, str | None]], arguments: Any, waits: Waits | None
) -> Iterator[Items]:
    items = Items(waits, (carrier or {}).get(CARRIED_BACK_PRESSURE, 0))
    span, present = None, Present()
    try:
        span = _start(carrier, naming, arguments, present)
        yield items
    except Exception as error:
        if span is not None:
            with contextlib.suppress(Exception):  # the text of an exception may fail
                span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, error_text(error)))
        raise
    finally:
        present.put_back()
        if span is not None:
            items.tell(span)
            span.end()


def _start(
    carrier: Any, naming: Callable[[Any], tuple[str, str | None]], arguments: Any, present: Present
) -> Span | None:
    if carrier is None:
        return None
    try:
        owner, method = naming(arguments)
        name, attributes = internals.run_span(owner, method)
        parent = tracing_patches.extracted(carrier)
        span: Span = ids.get_tracer(__name__).start_span(
            name + RUN_SUFFIX, context=parent, kind=SpanKind.CONSUMER, attributes=attributes
        )
        present.take(trace.set_span_in_context(span, parent))
        return span
    except Exception as error:
        warn_once("a generator's span could not be started", error)
        return None
