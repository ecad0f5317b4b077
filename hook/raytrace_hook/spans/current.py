"""A span while it is the current one: what OpenTelemetry's `use_span` does, without a generator."""

from __future__ import annotations

import contextlib

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from raytrace_hook.ray.tracebacks import error_text, has_text
from raytrace_hook.spans.present import Present


class Current(Present):
    """Makes a span the current one, and ends it; what fails meanwhile is told of by the span.

    For a `try` that begins it, ends it, and ends it with the error where something is raised: what was ended is not
    ended again, what was interrupted is done.
    """

    __slots__ = ("_span",)

    def __init__(self) -> None:
        super().__init__()
        self._span: Span | None = None

    def begin(self, span: Span, context: Context | None = None) -> Span:
        """Make a span the current one, in a context that is else this one; None: that of the present."""
        self._span = span
        self.take(trace.set_span_in_context(span, context))
        return span

    def end(self, error: BaseException | None = None) -> None:
        """Make the one before the current one again, and end the span; `error` is what was raised."""
        self.put_back()
        span = self._span
        if span is None:
            return
        if error is None:
            span.end()
        elif span.is_recording():
            if isinstance(error, Exception):
                _tell(span, error)
            span.end()
        self._span = None


def _tell(span: Span, error: Exception) -> None:
    if not has_text(error):  # OpenTelemetry would ask for it
        span.set_status(Status(StatusCode.ERROR, error_text(error)))
        return
    with contextlib.suppress(Exception):  # the text of an exception in its chain may fail
        span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
