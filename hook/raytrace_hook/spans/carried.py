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

from raytrace_hook.ray import tracing_patches

_PARENT, _STATE, _BAGGAGE = "traceparent", "tracestate", "baggage"
_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_flags = tuple(map(TraceFlags, range(256)))
_hex_flags = tuple(f"{flags:02x}" for flags in range(256))
_is_usual: tuple[Any, bool] = (None, False)
"""A propagator, and whether it is the one that OpenTelemetry has where nobody chose another."""


def install() -> None:
    """Let Ray's tracing write and read contexts in this way."""
    tracing_patches.patch_propagation(_writing, _reading)


def _uses_usual_propagators() -> bool:
    global _is_usual  # noqa: PLW0603 - looked at once for each propagator
    propagator: Any = propagate.get_global_textmap()
    if _is_usual[0] is not propagator:
        parts = getattr(propagator, "_propagators", ()) if type(propagator) is CompositePropagator else ()
        usual = TraceContextTextMapPropagator, W3CBaggagePropagator
        _is_usual = propagator, tuple(map(type, parts)) == usual
    return _is_usual[1]


def _writing(original: Callable[..., Any]) -> Callable[..., Any]:
    def inject_current_context() -> Any:
        here = context_api.get_current()
        span = trace.get_current_span(here)
        trace_id, span_id, _, flags, state, is_valid = span.get_span_context()
        if not is_valid or state or not _uses_usual_propagators() or baggage.get_all(here):
            return original()
        parent = f"00-{trace_id.to_bytes(16, 'big').hex()}-{span_id.to_bytes(8, 'big').hex()}-{_hex_flags[flags]}"
        return {_PARENT: parent}

    return inject_current_context


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    def extract(carrier: Any) -> Any:
        sent = carrier.get(_PARENT) if isinstance(carrier, dict) else None
        if sent.__class__ is str and _STATE not in carrier and _BAGGAGE not in carrier and _uses_usual_propagators():
            form = _FORM.fullmatch(sent)
            if form is not None:
                trace_id, span_id, flags = form.groups()
                context = SpanContext(int(trace_id, 16), int(span_id, 16), True, _flags[int(flags, 16)])
                if context.is_valid:
                    return trace.set_span_in_context(NonRecordingSpan(context), Context())
        return original(carrier)

    return extract
