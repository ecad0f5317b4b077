"""A span while it is the current one: what OpenTelemetry's `use_span` does, without a generator."""

from __future__ import annotations

import contextlib
from types import TracebackType

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from raytrace_hook.ray.tracebacks import error_text, has_text


class Current:
    """Makes a span the current one, and ends it; what fails meanwhile is told of by the span and goes on."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        span = self._span
        self._token = context_api.attach(trace.set_span_in_context(span))
        return span

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        span = self._span
        try:
            context_api.detach(self._token)
            if isinstance(error, Exception) and span.is_recording():
                _tell(span, error)
        finally:
            span.end()


def _tell(span: Span, error: Exception) -> None:
    if not has_text(error):  # OpenTelemetry would ask for it
        span.set_status(Status(StatusCode.ERROR, error_text(error)))
        return
    with contextlib.suppress(Exception):  # the text of an exception in its chain may fail
        span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
