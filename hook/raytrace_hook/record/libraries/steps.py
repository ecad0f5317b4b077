"""The spans of the steps that a program marks. Loaded by the set-up only: without it, marks do nothing."""

from __future__ import annotations

import contextlib
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals
from raytrace_hook.ray.tracebacks import error_text
from raytrace_hook.record.call_sites import call_site
from raytrace_hook.spans import ids


def begin(number: int) -> tuple[Span | None, Any]:
    """Begin a step in the present context; what it returns goes to `end`. No span where nothing is traced."""
    try:
        if not internals.tracing_is_on():
            return None, None
        attributes: dict[str, Any] = {names.STEP: int(number)}
        site = call_site()
        if site is not None:
            attributes[names.CALL_SITE] = site
        span = ids.get_tracer(__name__).start_span(names.STEP_SPAN, attributes=attributes)
        return span, context_api.attach(trace.set_span_in_context(span))
    except Exception as error:
        warn_once("a step could not be marked", error)
        return None, None


def end(span: Span, token: Any, error: BaseException | None = None) -> None:
    """End a step; `error` is what left it."""
    try:
        with contextlib.suppress(ValueError):  # left in another context than it was entered in
            context_api._RUNTIME_CONTEXT.detach(token)
        if isinstance(error, Exception):
            span.set_status(Status(StatusCode.ERROR, error_text(error)))
        span.end()
    except Exception as problem:
        warn_once("a step could not be marked", problem)
