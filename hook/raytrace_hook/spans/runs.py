"""What Ray's tracing puts around a run: the same span, context and order, without its machinery."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind

from raytrace_hook.ray import internals
from raytrace_hook.spans import facts, job_trace
from raytrace_hook.spans.current import Current
from raytrace_hook.spans.makers import Makers
from raytrace_hook.spans.present import Present

_CONSUMER = SpanKind.CONSUMER
_NOTHING = Context()
Function = Callable[..., Any]


class _Run:
    """The span of a run, under what came with the call or is known without: current from `begin` to `end`."""

    __slots__ = ("_current", "_sent")

    def __init__(self) -> None:
        self._sent, self._current = Present(), Current()

    def begin(self, makers: Makers, context: Any, name: str, attributes: dict[str, Any]) -> None:
        self._sent.take(context)
        self._current.begin(makers.start(name, _CONSUMER, attributes))

    def begin_alone(self, makers: Makers, submission: SpanContext, name: str, attributes: dict[str, Any]) -> None:
        """Do the same where nothing but the submission's span is in the context."""
        self._current.begin(makers.start(name, _CONSUMER, attributes, submission), _NOTHING)

    def end(self, error: BaseException | None = None) -> None:
        self._current.end(error)
        self._sent.put_back()


def traced_function(function: Function, makers: Makers) -> Function:
    """Return what is run in place of what Ray's tracing has put around this function of the program."""
    tracing: Any = internals.tracing_helper()
    extract, name = tracing._DictPropagator, f"{function.__module__}.{function.__name__}"
    span_name = tracing._function_span_consumer_name(name)

    def begin(run: _Run, carrier: Any, known: tuple[str, SpanContext] | None) -> None:
        if known is None:
            run.begin(makers, extract.extract(carrier), span_name, facts.of_function(name))
        else:
            task_id, submission = known
            run.begin_alone(makers, submission, span_name, facts.of_function(name, task_id))

    @functools.wraps(function)
    def _function_with_tracing(*args: Any, _ray_trace_ctx: Any = None, **kwargs: Any) -> Any:
        known = job_trace.of_run() if _ray_trace_ctx is None else None
        if _ray_trace_ctx is None and known is None:
            return function(*args, **kwargs)
        run = _Run()
        try:
            begin(run, _ray_trace_ctx, known)
            result = function(*args, **kwargs)
            run.end()
            return result
        except BaseException as error:
            run.end(error)
            raise

    return _function_with_tracing


def traced_method(method: Function, makers: Makers, begin_call: Callable[[], None]) -> Function:
    """Return what is run in place of what Ray's tracing has put around this method of the program.

    `begin_call` is called before a run of which nothing is told but what every worker knows.
    """
    tracing: Any = internals.tracing_helper()
    extract, name_of, name = tracing._DictPropagator, tracing._actor_span_consumer_name, method.__name__

    def submission_of(carrier: Any) -> tuple[str, SpanContext] | None:
        """Give what is known of a call that came without a context."""
        if carrier is not None or not tracing._global_is_tracing_enabled:
            return None
        begin_call()
        return job_trace.of_run()

    def is_traced(carrier: Any, known: Any) -> bool:
        return known is not None or (carrier is not None and tracing._global_is_tracing_enabled)

    def begin(run: _Run, actor: Any, carrier: Any, known: tuple[str, SpanContext] | None) -> None:
        owner = type(actor).__name__
        if known is None:
            run.begin(makers, extract.extract(carrier), name_of(owner, name), facts.of_method(owner, name))
            return
        task_id, submission = known
        run.begin_alone(
            makers, submission, name_of(owner, name), {**facts.of_method(owner, name), "ray.task_id": task_id}
        )

    @functools.wraps(method)
    def _resume_span(self: Any, *args: Any, _ray_trace_ctx: Any = None, **kwargs: Any) -> Any:
        known = submission_of(_ray_trace_ctx)
        if not is_traced(_ray_trace_ctx, known):
            return method(self, *args, **kwargs)
        run = _Run()
        try:
            begin(run, self, _ray_trace_ctx, known)
            result = method(self, *args, **kwargs)
            run.end()
            return result
        except BaseException as error:
            run.end(error)
            raise

    @functools.wraps(method)
    async def _resume_span_async(self: Any, *args: Any, _ray_trace_ctx: Any = None, **kwargs: Any) -> Any:
        known = submission_of(_ray_trace_ctx)
        if not is_traced(_ray_trace_ctx, known):
            return await method(self, *args, **kwargs)
        run = _Run()
        try:
            begin(run, self, _ray_trace_ctx, known)
            result = await method(self, *args, **kwargs)
            run.end()
            return result
        except BaseException as error:
            run.end(error)
            raise

    return _resume_span_async if inspect.iscoroutinefunction(method) else _resume_span
