"""A span as one line of JSON, in the field names of OpenTelemetry's ConsoleSpanExporter.

Written by hand around the C encoder of the standard library: the span's frame is a format string, only attributes and
names go through the encoder. That is what makes it many times cheaper than `ReadableSpan.to_json`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, SpanKind, StatusCode

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Link

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str).encode
_quote = json.encoder.encode_basestring_ascii

_KINDS = {kind: f'"SpanKind.{kind.name}"' for kind in SpanKind}
_UNSET, _OK = '{"status_code":"UNSET"}', '{"status_code":"OK"}'
_second = (-1, "")


def timestamp(nanoseconds: int) -> str:
    """Return a time since the epoch as UTC with nine digits, like `2026-11-23T08:55:39.302244123Z`."""
    global _second  # noqa: PLW0603 - spans come many to the second: the date is formatted once for all of them
    second, rest = divmod(nanoseconds, 1_000_000_000)
    known, text = _second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second = (second, text)
    return f"{text}.{rest:09d}Z"


def encode_mapping(attributes: Mapping[str, Any] | None) -> str:
    """Return attributes as a JSON object; what JSON has no form for becomes text."""
    if not attributes:
        return "{}"
    plain = _plain_dict(attributes)
    try:
        return _encode(plain)
    except (ValueError, TypeError):
        return _encode({str(key): _representable(value) for key, value in plain.items()})


def _plain_dict(attributes: Mapping[str, Any]) -> dict[str, Any]:
    # The SDK's BoundedAttributes takes a lock per access; its inner dictionary is copied in one step.
    inner = getattr(attributes, "_dict", None)
    return dict(inner if inner is not None else attributes)


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


def encode_span(span: ReadableSpan, extra: Mapping[str, Any] | None = None) -> str:
    """Return the JSON of a span up to, and without, its resource: no closing brace, no newline.

    `span` may still run: its end is null then. `extra` are attributes to add to the span's own.
    """
    context = span.context
    parent = span.parent
    start, end = span.start_time, span.end_time
    attributes: Mapping[str, Any] | None = getattr(span, "_attributes", None)
    if extra:
        attributes = {**_plain_dict(attributes or {}), **extra}
    events, links = getattr(span, "_events", None), getattr(span, "_links", None)
    return (
        f'{{"name":{_quote(span.name)},"context":{_context(context)},"kind":{_KINDS[span.kind]},'
        f'"parent_id":{"null" if parent is None else f_span_id(parent.span_id)},'
        f'"start_time":{"null" if start is None else _quoted_time(start)},'
        f'"end_time":{"null" if end is None else _quoted_time(end)},'
        f'"status":{_status(span)},"attributes":{encode_mapping(attributes)},'
        f'"events":{_events(events) if events else "[]"},"links":{_links(links) if links else "[]"}'
    )


def f_span_id(span_id: int) -> str:
    """Return a span id as ConsoleSpanExporter writes it, quotes included."""
    return f'"0x{span_id:016x}"'


def _quoted_time(nanoseconds: int) -> str:
    return f'"{timestamp(nanoseconds)}"'


def _context(context: SpanContext | None) -> str:
    if context is None:
        return "null"
    state = context.trace_state
    shown = _quote(repr(state)) if state else '"[]"'
    return f'{{"trace_id":"0x{context.trace_id:032x}","span_id":"0x{context.span_id:016x}","trace_state":{shown}}}'


def _status(span: ReadableSpan) -> str:
    status = span.status
    if status.status_code is StatusCode.UNSET:
        return _UNSET
    if not status.description:
        return _OK if status.status_code is StatusCode.OK else '{"status_code":"ERROR"}'
    return f'{{"status_code":"{status.status_code.name}","description":{_quote(status.description)}}}'


def _events(events: Sequence[Event]) -> str:
    shown = (
        f'{{"name":{_quote(event.name)},"timestamp":{_quoted_time(event.timestamp)},'
        f'"attributes":{encode_mapping(event.attributes)}}}'
        for event in events
    )
    return f"[{','.join(shown)}]"


def _links(links: Sequence[Link]) -> str:
    shown = (
        f'{{"context":{_context(link.context)},"attributes":{encode_mapping(link.attributes)}}}' for link in links
    )
    return f"[{','.join(shown)}]"
