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
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, StaticSampler
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind

from raytrace_hook.forking import call_in_child
from raytrace_hook.log import warn_once
from raytrace_hook.spans.ids import get_tracer

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


class _Alike(NamedTuple):
    """How a span under one kind of parent is made."""

    fields: dict[str, Any] | None
    """None: the sampler lets no such span be recorded."""
    attributes: dict[str, Any]
    """Those of what holds the attributes."""
    flags: Any


class _MadeWhenAsked:
    """The events or links of a span: hardly any has some."""

    def __init__(self, limit: str) -> None:
        self._limit = limit

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, span: Any, owner: type | None = None) -> Any:
        made: Any = BoundedList(getattr(span._limits, self._limit))
        return span.__dict__.setdefault(self._name, made)


class LeanSpan(sdk._Span):
    """A span of the SDK's."""

    _events = _MadeWhenAsked("max_events")
    _links = _MadeWhenAsked("max_links")

    def get_span_context(self) -> Any:
        """Return the ids of the span; whoever asks for those that are to be others has them (see job_trace.py)."""
        own = self.__dict__
        if "_was_asked" in own:
            own["_was_asked"] = True
        return own["_context"]

    def end(self, end_time: int | None = None) -> None:
        """End the span, once; what it is written by gets the span itself, no copy."""
        own = self.__dict__
        processors = own["_span_processor"]._span_processors
        if len(processors) != 1:  # there is another one by now
            super().end(end_time)
            return
        is_first = False
        try:
            with self._lock:
                is_first = own["_end_time"] is None
                if is_first:
                    own["_end_time"] = time.time_ns() if end_time is None else end_time
                    own["_attributes"]._immutable = True
            if is_first:
                processors[0].on_end(self)
            else:
                super().end(end_time)  # it says so
        except BaseException:
            # A Ctrl-C that came just now is the program's. The span is written all the same, at worst twice.
            if is_first and own["_end_time"] is not None:
                processors[0].on_end(self)
            raise


def holding(own: Any, alike: dict[str, Any]) -> BoundedAttributes:
    """Return what holds these attributes of a span, in all else like another of which these are the fields."""
    holder = object.__new__(BoundedAttributes)
    holder.__dict__ = {**alike, "_dict": own, "_lock": threading.Lock()}
    return holder


def events_and_links(span: Any) -> tuple[Any, Any]:
    """Return a span's events and links; AttributeError where the SDK keeps them elsewhere."""
    if span.__class__ is LeanSpan:
        own = span.__dict__
        return own.get("_events", ()), own.get("_links", ())
    return span._events._dq, span._links._dq


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
            key = None if parent is None else (int(parent.trace_flags), parent.is_remote)
            try:
                alike = self._alike[key]
            except KeyError:
                alike = self._alike[key] = self._probe(parent)
            if alike is not None:
                return self._make(alike, name, kind, attributes, parent)
        return self.tracer.start_span(name, _context(under), kind, attributes)

    def _make(
        self, alike: _Alike, name: str, kind: SpanKind, attributes: dict[str, Any], parent: SpanContext | None
    ) -> Any:
        ids = self.tracer.id_generator
        trace_id, state = (ids.generate_trace_id(), None) if parent is None else (parent.trace_id, parent.trace_state)
        context = SpanContext(trace_id, ids.generate_span_id(), False, alike.flags, state)
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
            "_start_time": time.time_ns(),
            "_end_time": None,
        }
        self._processor.on_start(span)
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
            provider: Any = trace.get_tracer_provider()
            maker = self._maker
            if maker is None or not maker.is_for(provider):
                if not isinstance(provider, TracerProvider):
                    return get_tracer(_SCOPE).start_span(name, _context(under), kind, attributes)
                maker = self._maker = Maker(provider, self._processor)
            return maker.start(name, kind, attributes, under)
        except Exception as error:
            warn_once("spans cost more than they need to", error)
            return get_tracer(_SCOPE).start_span(name, _context(under), kind, attributes)


def _context(under: SpanContext | None) -> Context | None:
    return None if under is None else trace.set_span_in_context(NonRecordingSpan(under), Context())
