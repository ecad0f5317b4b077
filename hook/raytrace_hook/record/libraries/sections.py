"""Calls of a library's that get a span around all that is done in them."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Protocol

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals
from raytrace_hook.ray.patching import Wrapper
from raytrace_hook.ray.tracebacks import error_text, leave_out_this_frame
from raytrace_hook.spans import ids


class Ending(Protocol):
    """What has begun to be recorded, and is told when it is over."""

    def end(self, error: BaseException | None = None) -> None:
        """End it; `error` is what ended it, if something did."""


def recording(begin: Callable[..., Ending | None]) -> Wrapper:
    """Return what wraps a call: `begin`, given what it is given, says what is recorded of it; None for nothing."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            recorded = begin(*arguments, **keywords)
            problem: BaseException | None = None
            try:
                return original(*arguments, **keywords)
            except BaseException as error:
                leave_out_this_frame(error)
                problem = error
                raise
            finally:
                if recorded is not None:
                    recorded.end(problem)

        return call

    return wrap


class Section:
    """One such call, from when it is made to `end`. Recording it never fails."""

    __slots__ = ("_span", "_token")

    def __init__(self, name: str, attributes: dict[str, Any], context: Any = None) -> None:
        """Begin a span of this name, under `context` if not under the present one."""
        self._span: Span | None = None
        self._token: Any = None
        try:
            if internals.tracing_is_on():
                above = context_api.get_current() if context is None else context
                self._span = ids.get_tracer(__name__).start_span(name, context=above, attributes=attributes)
                self._token = context_api.attach(trace.set_span_in_context(self._span, above))
        except Exception as error:
            warn_once(f"a {name} could not be recorded", error)

    def end(self, error: BaseException | None = None) -> None:
        """End it; `error` is what ended the call, if one did."""
        span, self._span = self._span, None
        if span is None:
            return
        try:
            with contextlib.suppress(ValueError):
                context_api._RUNTIME_CONTEXT.detach(self._token)
            if isinstance(error, Exception):
                span.set_status(Status(StatusCode.ERROR, error_text(error)))
            span.end()
        except Exception as problem:
            warn_once("a call of a library could not be recorded", problem)


def waiting(name: str, **more: Any) -> dict[str, Any]:
    """Return the attributes of a section in which the program waits, for something else than a result of Ray's."""
    return {names.READY_TASK_IDS: (), names.AWAITED: name, **more}
