"""Makes spans as a tracer of OpenTelemetry's SDK does, for less: the SDK says once how one looks, the rest are copies.

What the SDK works out anew for every span hardly ever changes: what the sampler says under such a parent, the limits,
the resource, the scope. So the SDK makes one span under each kind of parent, which goes nowhere, and those after it are
made like it. Whatever is not as expected is left to the SDK: another sampler, another span processor than the one that
this is for, limits that could hold, a field that this code does not know.
"""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, StaticSampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind

from raytrace_hook.forking import call_in_child
from raytrace_hook.log import warn_once
from raytrace_hook.spans.ids import get_tracer
from raytrace_hook.spans.lean import LeanSpan, holding

_SCOPE = "ray.util.tracing.tracing_helper"
"""The tracer that Ray's tracing asks for."""
_MOST_ADDED = 64
"""Room for the attributes of a span of Ray's; where fewer are allowed, the SDK has to count them."""
_OWN = frozenset(
    ("_name", "_context", "_kind", "_parent", "_start_time", "_end_time", "_attributes", "_events", "_links", "_lock")
)
"""What each span has for itself."""
_ALIKE = frozenset(
    (
        "_instrumentation_info", "_instrumentation_scope", "_resource", "_status", "_sampler", "_trace_config",
        "_record_exception", "_set_status_on_exception", "_span_processor", "_limits", "_record_end_metrics",
    )
)  # fmt: skip
"""What spans of one tracer share; a status is replaced, never changed."""
_OF_ATTRIBUTES = frozenset(
    ("_dict", "maxlen", "dropped", "max_value_len", "_lock", "_immutable", "_extended_attributes")
)
_PROBE = {"ray.remote": "function"}
_PLAIN = frozenset((str, int, bool, float, list, tuple))
"""What a value is that the SDK would take as it is; what it holds is ours."""


class _Alike(NamedTuple):
    """How a span under one kind of parent is made."""

    fields: dict[str, Any] | None
    """None: the sampler lets no such span be recorded."""
    attributes: dict[str, Any]
    """Those of what holds the attributes."""
    flags: Any


class Maker:
    """Makes the spans of one provider, for one processor."""

    def __init__(self, provider: TracerProvider, processor: SpanProcessor) -> None:
        self.tracer: Any = get_tracer(_SCOPE, provider)
        self._provider = provider
        self._processor = processor
        self._processors = getattr(provider._active_span_processor, "_span_processors", None)
        self._sampler = provider.sampler
        self._alike: dict[tuple[int, bool] | None, _Alike | None] = {}
        self._fits = self._processors == (processor,) and self._is_plain()

    def _is_plain(self) -> bool:
        sampler: Any = self._sampler
        of_parents = {"remote_parent_sampled": ALWAYS_ON, "remote_parent_not_sampled": ALWAYS_OFF}
        of_parents.update({"local_parent_sampled": ALWAYS_ON, "local_parent_not_sampled": ALWAYS_OFF})
        return (
            type(self._provider) is TracerProvider
            and type(self._provider._active_span_processor) is sdk.SynchronousMultiSpanProcessor
            and type(self.tracer) is sdk.Tracer
            and isinstance(sampler, ParentBased)
            and type(sampler).should_sample is ParentBased.should_sample
            and all(getattr(sampler, f"_{name}") is choice for name, choice in of_parents.items())
        )

    def is_for(self, provider: Any) -> bool:
        """Tell whether this provider is as it was when this was made."""
        return (
            provider is self._provider
            and provider.sampler is self._sampler
            and getattr(provider._active_span_processor, "_span_processors", None) is self._processors
        )

    def start(self, name: str, kind: SpanKind, attributes: dict[str, Any], under: SpanContext | None = None) -> Any:
        """Start a span as `Makers.start` does. `attributes` are texts, and the span's own from here on."""
        if self._fits:
            above = trace.get_current_span().get_span_context() if under is None else under
            parent = above if above.is_valid else None
            alike = self._alike_under(parent)
            if alike is not None:
                return self._make(alike, name, kind, attributes, parent)
        return self.tracer.start_span(name, _context(under), kind, attributes)

    def start_past(
        self, name: str, attributes: dict[str, Any], context: Context, start_ns: int, span_id: int
    ) -> trace.Span | None:
        """Start a span as `Makers.start_past` does."""
        if not self._fits or not all(value.__class__ in _PLAIN for value in attributes.values()):
            return None
        above = trace.get_current_span(context).get_span_context()
        if not above.is_valid:
            return None
        alike = self._alike_under(above)
        if alike is None:
            return None
        made: trace.Span = self._make(
            alike, name, SpanKind.INTERNAL, attributes.copy(), above, context, start_ns, span_id
        )
        return made

    def _alike_under(self, parent: SpanContext | None) -> _Alike | None:
        key = None if parent is None else (int(parent.trace_flags), parent.is_remote)
        try:
            return self._alike[key]
        except KeyError:
            alike = self._alike[key] = self._probe(parent)
            return alike

    def _make(
        self,
        alike: _Alike,
        name: str,
        kind: SpanKind,
        attributes: dict[str, Any],
        parent: SpanContext | None,
        within: Context | None = None,
        start_ns: int = 0,
        span_id: int = 0,
    ) -> Any:
        ids = self.tracer.id_generator
        trace_id, state = (ids.generate_trace_id(), None) if parent is None else (parent.trace_id, parent.trace_state)
        context = SpanContext(trace_id, span_id or ids.generate_span_id(), False, alike.flags, state)
        if alike.fields is None:
            return NonRecordingSpan(context)
        kept = alike.attributes["_dict"].__class__
        own = attributes if kept is dict else kept(attributes)
        span = object.__new__(LeanSpan)
        span.__dict__ = {
            **alike.fields,
            "_name": name,
            "_context": context,
            "_kind": kind,
            "_parent": parent,
            "_attributes": holding(own, alike.attributes),
            "_lock": threading.Lock(),
            "_start_time": start_ns or time.time_ns(),
            "_end_time": None,
        }
        self._processor.on_start(span, within)
        return span

    def _probe(self, parent: SpanContext | None) -> _Alike | None:
        """Let the SDK make a span under such a parent, for nobody; None where others cannot be made like it."""
        try:
            return self._looked_at(parent)
        except Exception as error:
            warn_once("spans cost more than they need to: the SDK of OpenTelemetry is not as expected", error)
            return None

    def _looked_at(self, parent: SpanContext | None) -> _Alike | None:
        if parent is None and not isinstance(getattr(self._sampler, "_root", None), StaticSampler):
            return None  # each trace is decided on for itself
        above = _context(parent) or Context()
        tracer: Any = object.__new__(sdk.Tracer)  # `copy` may be told to give the same one
        tracer.__dict__.update(vars(self.tracer), span_processor=SpanProcessor())
        span: Any = tracer.start_span("", context=above, attributes=dict(_PROBE))
        context = span.get_span_context()
        if parent is not None and (context.trace_id != parent.trace_id or context.trace_state != parent.trace_state):
            return None
        if context.is_remote or (parent is not None and context.span_id == parent.span_id):
            return None
        if type(span) is NonRecordingSpan:
            return _Alike(None, {}, context.trace_flags)
        fields, attributes = vars(span), vars(span._attributes)
        metrics = fields.get("_record_end_metrics")
        is_as_expected = (
            type(span) is sdk._Span
            and fields.keys() >= _OWN
            and fields.keys() <= _OWN | _ALIKE
            and attributes.keys() <= _OF_ATTRIBUTES
            and dict(attributes["_dict"]) == _PROBE
            and (attributes["maxlen"] is None or attributes["maxlen"] >= _MOST_ADDED)
            and attributes["max_value_len"] is None
            and (metrics is None or getattr(metrics, "__name__", "") == "noop")
        )
        if not is_as_expected:
            return None
        alike = {name: value for name, value in fields.items() if name not in _OWN}
        alike["_span_processor"] = self.tracer.span_processor
        return _Alike(alike, attributes, context.trace_flags)


class Makers:
    """Finds the maker for the process's provider: another one once that, or what it does with spans, has changed."""

    def __init__(self, processor: SpanProcessor) -> None:
        """Take the one processor that spans are made for at less than the SDK's price."""
        self._processor = processor
        self._maker: Maker | None = None
        call_in_child(self._forget)

    def _forget(self) -> None:
        self._maker = None

    def start(self, name: str, kind: SpanKind, attributes: dict[str, Any], under: SpanContext | None = None) -> Any:
        """Start a span as Ray's tracer would: under that span, or (None) the one of the present context."""
        try:
            maker = self._present()
            if maker is not None:
                return maker.start(name, kind, attributes, under)
        except Exception as error:
            warn_once("spans cost more than they need to", error)
        return get_tracer(_SCOPE).start_span(name, _context(under), kind, attributes)

    def start_past(
        self, name: str, attributes: dict[str, Any], context: Context, start_ns: int, span_id: int
    ) -> trace.Span | None:
        """Start a span under that of a context, which began at `start_ns` and is to have this id (0: any).

        Gives None where the SDK has to make it.
        """
        try:
            maker = self._present()
            return None if maker is None else maker.start_past(name, attributes, context, start_ns, span_id)
        except Exception as error:
            warn_once("spans cost more than they need to", error)
            return None

    def _present(self) -> Maker | None:
        provider: Any = trace.get_tracer_provider()
        maker = self._maker
        if maker is None or not maker.is_for(provider):
            if not isinstance(provider, TracerProvider):
                return None
            maker = self._maker = Maker(provider, self._processor)
        return maker


def _context(under: SpanContext | None) -> Context | None:
    return None if under is None else trace.set_span_in_context(NonRecordingSpan(under), Context())
