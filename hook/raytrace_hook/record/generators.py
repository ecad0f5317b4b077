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

from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from raytrace_hook.log import warn_once
from raytrace_hook.names import RUN_SUFFIX
from raytrace_hook.ray import internals, patches


def install() -> None:
    """Let this worker's generator tasks be covered by their spans."""
    patches.patch_generator_functions(lambda function, name: _traced(function, lambda _: (name, None)))
    patches.patch_generator_methods(
        lambda method, name: _traced(method, lambda arguments: (type(arguments[0]).__name__, name))
    )


def _traced(body: Callable[..., Any], naming: Callable[[Any], tuple[str, str | None]]) -> Callable[..., Any]:
    @functools.wraps(body)
    def run(*arguments: Any, _ray_trace_ctx: Any = None, **keywords: Any) -> Generator[Any, Any, Any]:
        with _run_span(_ray_trace_ctx, naming, arguments):
            return (yield from body(*arguments, **keywords))

    @functools.wraps(body)
    async def run_async(*arguments: Any, _ray_trace_ctx: Any = None, **keywords: Any) -> AsyncIterator[Any]:
        with _run_span(_ray_trace_ctx, naming, arguments):
            items = body(*arguments, **keywords)
            sent = None
            try:
                while True:
                    # Ray sends values into generators, which the body may look at.
                    sent = yield await items.asend(sent)
            except StopAsyncIteration:
                return
            finally:
                await items.aclose()

    return run_async if inspect.isasyncgenfunction(inspect.unwrap(body)) else run


@contextlib.contextmanager
def _run_span(carrier: Any, naming: Callable[[Any], tuple[str, str | None]], arguments: Any) -> Iterator[None]:
    span, token = _start(carrier, naming, arguments)
    if span is None:
        yield
        return
    try:
        yield
    except Exception as error:
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        raise
    finally:
        # A generator may be closed elsewhere than it was begun; the token is then another context's.
        with contextlib.suppress(ValueError):
            context_api._RUNTIME_CONTEXT.detach(token)
        span.end()


def _start(carrier: Any, naming: Callable[[Any], tuple[str, str | None]], arguments: Any) -> tuple[Span | None, Any]:
    if carrier is None:
        return None, None
    try:
        owner, method = naming(arguments)
        name, attributes = internals.run_span(owner, method)
        parent = propagate.extract(carrier)
        span = trace.get_tracer(__name__).start_span(
            name + RUN_SUFFIX, context=parent, kind=SpanKind.CONSUMER, attributes=attributes
        )
        return span, context_api.attach(trace.set_span_in_context(span, parent))
    except Exception as error:
        warn_once("a generator's span could not be started", error)
        return None, None
