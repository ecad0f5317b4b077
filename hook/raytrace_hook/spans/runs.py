"""What Ray's tracing puts around a run: the same span, context and order, without its machinery."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable

from opentelemetry import context as context_api
from opentelemetry.trace import SpanKind

from raytrace_hook.ray import internals
from raytrace_hook.spans import facts, job_trace
from raytrace_hook.spans.current import Current
from raytrace_hook.spans.lean import Makers

_CONSUMER = SpanKind.CONSUMER
Function = Callable[..., Any]


class _Run:
    """The span of a run, under what came with the call: current from `with` on."""

    __slots__ = ("_current", "_token")

    def __init__(self, makers: Makers, context: Any, name: str, attributes: dict[str, Any]) -> None:
        self._token = context_api.attach(context)
        try:
            self._current = Current(makers.start(name, _CONSUMER, attributes))
        except BaseException:
            context_api.detach(self._token)
            raise

    def __enter__(self) -> None:
        self._current.__enter__()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            self._current.__exit__(kind, error, traceback)
        finally:
            context_api.detach(self._token)


def traced_function(function: Function, makers: Makers) -> Function:
    """Return what is run in place of what Ray's tracing has put around this function of the program."""
    tracing: Any = internals.tracing_helper()
    extract, name = tracing._DictPropagator, f"{function.__module__}.{function.__name__}"
    span_name = tracing._function_span_consumer_name(name)

    @functools.wraps(function)
    def _function_with_tracing(*args: Any, _ray_trace_ctx: Any = None, **kwargs: Any) -> Any:
        context = job_trace.of_task() if _ray_trace_ctx is None else extract.extract(_ray_trace_ctx)
        if context is None:
            return function(*args, **kwargs)
        with _Run(makers, context, span_name, facts.of_function(name)):
            return function(*args, **kwargs)

    return _function_with_tracing


def traced_method(method: Function, makers: Makers, begin: Callable[[], None]) -> Function:
    """Return what is run in place of what Ray's tracing has put around this method of the program.

    `begin` is called before a run of which nothing is told but what every worker knows.
    """
    tracing: Any = internals.tracing_helper()
    extract, name_of, name = tracing._DictPropagator, tracing._actor_span_consumer_name, method.__name__

    def context_of(carrier: Any) -> Any:
        if not tracing._global_is_tracing_enabled:
            return None
        if carrier is not None:
            return extract.extract(carrier)
        begin()
        return job_trace.of_task()

    def run(actor: Any, context: Any) -> _Run:
        owner = type(actor).__name__
        return _Run(makers, context, name_of(owner, name), facts.of_method(owner, name))

    @functools.wraps(method)
    def _resume_span(self: Any, *args: Any, _ray_trace_ctx: Any = None, **kwargs: Any) -> Any:
        context = context_of(_ray_trace_ctx)
        if context is None:
            return method(self, *args, **kwargs)
        with run(self, context):
            return method(self, *args, **kwargs)

    @functools.wraps(method)
    async def _resume_span_async(self: Any, *args: Any, _ray_trace_ctx: Any = None, **kwargs: Any) -> Any:
        context = context_of(_ray_trace_ctx)
        if context is None:
            return await method(self, *args, **kwargs)
        with run(self, context):
            return await method(self, *args, **kwargs)

    return _resume_span_async if inspect.iscoroutinefunction(method) else _resume_span
