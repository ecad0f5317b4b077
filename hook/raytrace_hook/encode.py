"""A span as one line of JSON, in the field names of OpenTelemetry's ConsoleSpanExporter.

Written by hand around the C encoder of the standard library: the span's frame is a format string, only
attributes and names go through the encoder. That is what makes it many times cheaper than `ReadableSpan.to_json`.
"""

from __future__ import annotations

import json
import math
import operator
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, SpanKind, StatusCode

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event
    from opentelemetry.trace import Link

quote = json.encoder.encode_basestring_ascii
"""Return text as a JSON string."""

_PRODUCER, _CONSUMER = SpanKind.PRODUCER, SpanKind.CONSUMER
_UNSET, _OK = '{"status_code":"UNSET"}', '{"status_code":"OK"}'
_NO_STATE = INVALID_SPAN_CONTEXT.trace_state


def _fields(*names: str) -> Callable[[Any], Any]:
    """Return what reads several attributes of a span at once, past the SDK's properties where that can be."""
    private = [f"_{name}" for name in names]
    known = vars(ReadableSpan(name=""))
    return operator.attrgetter(*(private if all(name in known for name in private) else names))


_head_of = _fields("name", "context", "kind", "parent", "start_time")
_tail_of = _fields("status", "events", "links", "end_time")
_second = ("?", "")
_trace = (0, "0" * 32)


def _fast_encoder() -> Callable[[dict[str, Any]], str]:
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False, default=str).encode
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encode
    try:
        # What JSONEncoder.encode makes anew for every call, made once.
        chunks = make(None, str, quote, None, ":", ",", False, False, False)
        if "".join(chunks({"a": [1.5, None]}, 0)) != '{"a":[1.5,null]}':
            return encode
    except Exception:
        return encode
    join = "".join
    return lambda plain: join(chunks(plain, 0))


_encode = _fast_encoder()


def timestamp(nanoseconds: int) -> str:
    """Return a time since the epoch as UTC with nine digits, like `2026-11-23T08:55:39.302244123Z`."""
    global _second  # noqa: PLW0603 - spans come many to the second: the date is formatted once for all of them
    digits = str(nanoseconds)
    known, text = _second
    if known != digits[:-9]:
        digits = digits.rjust(10, "0")
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(int(digits[:-9])))
        _second = (digits[:-9], text)
    return f"{text}{digits[-9:]}Z"


def encode_mapping(attributes: Mapping[str, Any] | None) -> str:
    """Return attributes as a JSON object; what JSON has no form for becomes text."""
    return encode_plain(dict(attributes)) if attributes else "{}"


def encode_plain(attributes: dict[str, Any]) -> str:
    """Do the same with a dictionary that nobody changes meanwhile."""
    try:
        return _encode(attributes)
    except (ValueError, TypeError):
        return _encode({str(key): _representable(value) for key, value in attributes.items()})


def _representable(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _representable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_representable(item) for item in value]
    return str(value)


def encode_head(span: ReadableSpan) -> str:
    """Return the part of a span's JSON that is known when it starts, up to its start; `encode_tail` goes on."""
    global _trace  # noqa: PLW0603 - a process's spans nearly all belong to one trace: its id is formatted once
    name, context, kind, parent, start_time = _head_of(span)
    trace_id, span_id, _, _, state, _ = context or INVALID_SPAN_CONTEXT
    shown = '"[]"' if state is _NO_STATE or not state else quote(repr(state))
    # An enumeration's members are slow to hash: the two kinds that nearly all spans have are compared first.
    kind_name = "PRODUCER" if kind is _PRODUCER else "CONSUMER" if kind is _CONSUMER else kind.name
    parent_id = "null" if parent is None else f'"0x{parent.span_id:016x}"'
    known, trace_text = _trace
    if known != trace_id:
        trace_text = f"{trace_id:032x}"
        _trace = (trace_id, trace_text)
    return (
        f'{{"name":{quote(name)},"context":{{"trace_id":"0x{trace_text}","span_id":"0x{span_id:016x}",'
        f'"trace_state":{shown}}},"kind":"SpanKind.{kind_name}",'
        f'"parent_id":{parent_id},"start_time":"{timestamp(start_time or 0)}",'
    )


def encode_tail(span: ReadableSpan, attributes: str) -> str:
    """Return the rest of an ended span's JSON without its resource: no closing brace. `attributes` is JSON already."""
    status, events, links, end_time = _tail_of(span)
    return (
        f'"end_time":"{timestamp(end_time or 0)}",'
        f'"status":{_UNSET if status.status_code is StatusCode.UNSET else _status(status)},'
        f'"attributes":{attributes},'
        f'"events":{_events(events) if events else "[]"},"links":{_links(links) if links else "[]"}'
    )


def encode_open_tail(attributes: str) -> str:
    """Return the rest of the JSON of a span that still runs, closing brace and all."""
    return f'"end_time":null,"status":{_UNSET},"attributes":{attributes},"events":[],"links":[]}}'


def plain_attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return the span's attributes as they are in it: for reading, or to add what needs no check."""
    # The SDK's BoundedAttributes takes a lock per access and checks each value; its inner dictionary does not.
    attributes: Any = getattr(span, "_attributes", None)
    inner = getattr(attributes, "_dict", attributes)
    return inner if isinstance(inner, dict) else dict(span.attributes or {})


def _context(context: SpanContext) -> str:
    shown = quote(repr(context.trace_state)) if context.trace_state else '"[]"'
    return f'{{"trace_id":"0x{context.trace_id:032x}","span_id":"0x{context.span_id:016x}","trace_state":{shown}}}'


def _status(status: Any) -> str:
    if not status.description:
        return _OK if status.status_code is StatusCode.OK else '{"status_code":"ERROR"}'
    return f'{{"status_code":"{status.status_code.name}","description":{quote(status.description)}}}'


def _events(events: Iterable[Event]) -> str:
    shown = (
        f'{{"name":{quote(event.name)},"timestamp":"{timestamp(event.timestamp)}",'
        f'"attributes":{encode_mapping(event.attributes)}}}'
        for event in events
    )
    return f"[{','.join(shown)}]"


def _links(links: Iterable[Link]) -> str:
    shown = (f'{{"context":{_context(link.context)},"attributes":{encode_mapping(link.attributes)}}}' for link in links)
    return f"[{','.join(shown)}]"
