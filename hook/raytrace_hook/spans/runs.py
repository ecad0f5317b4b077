"""What Ray's tracing puts around a run: the same span, context and order, without its machinery."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable

from opentelemetry.trace import SpanKind

from raytrace_hook.ray import internals
from raytrace_hook.spans import facts, job_trace
from raytrace_hook.spans.current import Current
from raytrace_hook.spans.lean import Makers
from raytrace_hook.spans.present import Present

_CONSUMER = SpanKind.CONSUMER
Function = Callable[..., Any]


class _Run:
    """The span of a run, under what came with the call: current from `begin` to `end`."""

    __slots__ = ("_current", "_sent")

    def __init__(self) -> None:
        self._sent, self._current = Present(), Current()

    def begin(self, makers: Makers, context: Any, name: str, attributes: dict[str, Any]) -> None:
        self._sent.take(context)
        self._current.begin(makers.start(name, _CONSUMER, attributes))

    def end(self, error: BaseException | None = None) -> None:
        self._current.end(error)
        self._sent.put_back()


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
        run = _Run()
        try:
            run.begin(makers, context, span_name, facts.of_function(name))
            result = function(*args, **kwargs)
            run.end()
            return result
        except BaseException as error:
            run.end(error)
            raise

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

    def start(run: _Run, actor: Any, context: Any) -> None:
        owner = type(actor).__name__
        run.begin(makers, context, name_of(owner, name), facts.of_method(owner, name))

    @functools.wraps(method)
    def _resume_span(self: Any, *args: Any, _ray_trace_ctx: Any = None, **kwargs: Any) -> Any:
        context = context_of(_ray_trace_ctx)
        if context is None:
            return method(self, *args, **kwargs)
        run = _Run()
        try:
            start(run, self, context)
            result = method(self, *args, **kwargs)
            run.end()
            return result
        except BaseException as error:
            run.end(error)
            raise

    @functools.wraps(method)
    async def _resume_span_async(self: Any, *args: Any, _ray_trace_ctx: Any = None, **kwargs: Any) -> Any:
        context = context_of(_ray_trace_ctx)
        if context is None:
            return await method(self, *args, **kwargs)
        run = _Run()
        try:
            start(run, self, context)
            result = await method(self, *args, **kwargs)
            run.end()
            return result
        except BaseException as error:
            run.end(error)
            raise

    return _resume_span_async if inspect.iscoroutinefunction(method) else _resume_span
