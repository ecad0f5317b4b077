"""Calls of a library's that get a span around all that is done in them."""

from __future__ import annotations

from typing import Any, Callable, Protocol

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals
from raytrace_hook.ray.patching import Wrapper
from raytrace_hook.ray.tracebacks import error_text, leave_out_this_frame
from raytrace_hook.spans import ids
from raytrace_hook.spans.present import Present


class Recorded(Protocol):
    """What is recorded of a call, from `enter` to `end`."""

    def enter(self) -> None:
        """Begin to record it, here and now."""

    def end(self, error: BaseException | None = None) -> None:
        """End it, once; `error` is what ended it, if something did."""


def recording(make: Callable[..., Recorded | None]) -> Wrapper:
    """Return what wraps a call: `make`, given what it is given, says what is recorded of it; None for nothing."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            recorded = make(*arguments, **keywords)
            try:
                if recorded is not None:
                    recorded.enter()
                returned = original(*arguments, **keywords)
                if recorded is not None:
                    recorded.end()
                return returned
            except BaseException as error:
                leave_out_this_frame(error)
                if recorded is not None:
                    recorded.end(error)
                raise

        return call

    return wrap


class Section:
    """One such call. Recording it never fails."""

    __slots__ = ("_attributes", "_name", "_present", "_span")

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        """Take the name of its span, and the attributes."""
        self._name, self._attributes = name, attributes
        self._present = Present()
        self._span: Span | None = None

    def enter(self) -> None:
        """Begin the span, under the present one."""
        try:
            if internals.tracing_is_on():
                self._span = ids.get_tracer(__name__).start_span(self._name, attributes=self._attributes)
                self._present.take(trace.set_span_in_context(self._span))
        except Exception as error:
            warn_once(f"a {self._name} could not be recorded", error)

    def end(self, error: BaseException | None = None) -> None:
        """End it, once; `error` is what ended the call, if something did."""
        try:
            self._present.put_back()
            span = self._span
            if span is not None and span.is_recording():
                if isinstance(error, Exception):
                    span.set_status(Status(StatusCode.ERROR, error_text(error)))
                span.end()
            self._span = None
        except Exception as problem:
            warn_once(f"a {self._name} could not be recorded", problem)


def waiting(name: str, **more: Any) -> dict[str, Any]:
    """Return the attributes of a section in which the program waits, for something else than a result of Ray's."""
    return {names.READY_TASK_IDS: (), names.AWAITED: name, **more}
