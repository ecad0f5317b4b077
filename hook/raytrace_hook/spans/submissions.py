"""What Ray's tracing puts around a submission: the same span, context and order, without its machinery."""

from __future__ import annotations

import functools
from typing import Any, Callable

from opentelemetry.trace import SpanKind

from raytrace_hook.ray import actors, tracing_patches
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.ray.tracing_patches import CONTEXT
from raytrace_hook.spans import facts, job_trace
from raytrace_hook.spans.current import Current
from raytrace_hook.spans.makers import Makers

Submission = Callable[..., Any]


def install(makers: Makers) -> None:
    """Let submissions be traced in this way from the next patch of them on."""
    tracing_patches.patch_tracing_of_submissions(lambda tracing: _decorators(tracing, makers))


def _decorators(tracing: Any, makers: Makers) -> tuple[Callable[[Submission], Submission], ...]:
    """Return what is put around a submission of a task, of a method and of an actor's creation."""
    start, producer, context_of = makers.start, SpanKind.PRODUCER, job_trace.context_of_submission
    inject = tracing._DictPropagator.inject_current_context
    function_name, method_name = tracing._function_span_producer_name, tracing._actor_span_producer_name

    def task(submit: Submission) -> Submission:
        @functools.wraps(submit)
        def _invocation_remote_span(self: Any, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
            if not tracing._global_is_tracing_enabled or self._is_cross_language:
                assert kwargs is None or CONTEXT not in kwargs
                return submit(self, args, kwargs, *more, **options)
            assert CONTEXT not in kwargs
            name = self._function_name
            current = Current()
            try:
                current.begin(start(function_name(name), producer, facts.of_function(name)))
                kwargs[CONTEXT] = context_of(inject)
                returned = submit(self, args, kwargs, *more, **options)
                current.end()
                return returned
            except BaseException as error:
                current.end(error)
                leave_out_this_frame(error)
                raise

        return _invocation_remote_span

    def creation(submit: Submission) -> Submission:
        @functools.wraps(submit)
        def _invocation_actor_class_remote_span(
            self: Any, args: Any = (), kwargs: Any = None, *more: Any, **options: Any
        ) -> Any:
            kwargs = {} if kwargs is None else kwargs
            if not tracing._global_is_tracing_enabled:
                assert CONTEXT not in kwargs
                return submit(self, args, kwargs, *more, **options)
            assert CONTEXT not in options
            owner, name = self.__ray_metadata__.class_name, "__init__"
            current = Current()
            try:
                span = current.begin(start(method_name(owner, name), producer, facts.of_method(owner, name)))
                kwargs[CONTEXT] = inject()
                handle = submit(self, args, kwargs, *more, **options)
                _note_actor(span, handle)
                current.end()
                return handle
            except BaseException as error:
                current.end(error)
                leave_out_this_frame(error)
                raise

        return _invocation_actor_class_remote_span

    def method(submit: Submission) -> Submission:
        @functools.wraps(submit)
        def _start_span(self: Any, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
            handle = actors.actor_of(self)
            # Older versions of Ray lose an actor whose handle nobody keeps, and say so.
            if handle is None or not tracing._global_is_tracing_enabled or handle._ray_is_cross_language:
                assert kwargs is None or CONTEXT not in kwargs
                try:
                    return submit(self, args, kwargs, *more, **options)
                except BaseException as error:
                    leave_out_this_frame(error)
                    raise
            owner, name = handle._ray_actor_creation_function_descriptor.class_name, self._method_name
            assert CONTEXT not in options
            current = Current()
            try:
                span = current.begin(start(method_name(owner, name), producer, facts.of_method(owner, name)))
                kwargs[CONTEXT] = context_of(inject)
                _note_actor(span, handle)
                returned = submit(self, args, kwargs, *more, **options)
                current.end()
                return returned
            except BaseException as error:
                current.end(error)
                leave_out_this_frame(error)
                raise

        return _start_span

    return task, method, creation


def _note_actor(span: Any, handle: Any) -> None:
    actor_id = getattr(handle, "_ray_actor_id", None)
    if actor_id is None:  # Ray's client
        actor_id = getattr(handle, "_actor_id", None)
    if actor_id is not None:
        span.set_attribute("ray.actor_id", actor_id.hex())
