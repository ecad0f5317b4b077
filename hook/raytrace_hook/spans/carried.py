"""The context that goes along with a call of Ray's, in the W3C's form: written and read without the general machinery.

Where anything but a plain `traceparent` is to be sent or has come (a trace state, baggage, another propagator of the
program's), OpenTelemetry's own propagators do it.
"""

from __future__ import annotations

import re
from typing import Any, Callable

from opentelemetry import baggage, propagate, trace
from opentelemetry import context as context_api
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from raytrace_hook.log import warn_once
from raytrace_hook.ray import tracing_patches

_PARENT, _STATE, _BAGGAGE = "traceparent", "tracestate", "baggage"
_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_flags = tuple(map(TraceFlags, range(256)))
_is_usual: tuple[Any, bool] = (None, False)
"""A propagator, and whether it is the one that OpenTelemetry has where nobody chose another."""


def install() -> None:
    """Let Ray's tracing write and read contexts in this way."""
    tracing_patches.patch_propagation(_writing, _reading)


def uses_usual_propagators() -> bool:
    """Tell whether contexts are sent as OpenTelemetry does it where nobody chose another way."""
    global _is_usual  # noqa: PLW0603 - looked at once for each propagator
    propagator: Any = propagate.get_global_textmap()
    if _is_usual[0] is not propagator:
        parts = getattr(propagator, "_propagators", ()) if type(propagator) is CompositePropagator else ()
        usual = TraceContextTextMapPropagator, W3CBaggagePropagator
        _is_usual = propagator, tuple(map(type, parts)) == usual
    return _is_usual[1]


def _writing(original: Callable[..., Any]) -> Callable[..., Any]:
    def inject_current_context() -> Any:
        return _guarded(_written) or original()

    return inject_current_context


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    def extract(carrier: Any) -> Any:
        context = _guarded(_read, carrier)
        return original(carrier) if context is None else context

    return extract


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        warn_once("contexts of calls cost more than they need to", error)
        return None


def _written() -> dict[str, str] | None:
    """Return the present context as it is sent; None where it is no plain one."""
    here = context_api.get_current()
    trace_id, span_id, _, flags, state, is_valid = trace.get_current_span(here).get_span_context()
    if not is_valid or state or not uses_usual_propagators() or baggage.get_all(here):
        return None
    return {_PARENT: f"00-{trace_id.to_bytes(16, 'big').hex()}-{span_id.to_bytes(8, 'big').hex()}-{flags:02x}"}


def _read(carrier: Any) -> Context | None:
    """Return the context that was sent; None where it is no plain one."""
    sent = carrier.get(_PARENT)
    if sent.__class__ is not str or _STATE in carrier or _BAGGAGE in carrier or not uses_usual_propagators():
        return None
    form = _FORM.fullmatch(sent)
    if form is None:
        return None
    trace_id, span_id, flags = form.groups()
    context = SpanContext(int(trace_id, 16), int(span_id, 16), True, _flags[int(flags, 16)])
    return trace.set_span_in_context(NonRecordingSpan(context), Context()) if context.is_valid else None
