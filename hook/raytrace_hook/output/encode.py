"""A span as one line of JSON, in the field names of OpenTelemetry's ConsoleSpanExporter.

Written by hand around the C encoder of the standard library: the span's frame is a format string, only
attributes and names go through the encoder. That is what makes it many times cheaper than `ReadableSpan.to_json`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable

from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from raytrace_hook import names
from raytrace_hook.output.redact import Redactor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event
    from opentelemetry.trace import Link, Status

quote = json.encoder.encode_basestring_ascii
"""Return text as a JSON string."""

_UNSET, _OK = '{"status_code":"UNSET"}', '{"status_code":"OK"}'
_CODE_UNSET = StatusCode.UNSET
_second = ("?", "")
_frames: dict[str, tuple[SpanKind, Any, str, str]] = {}
"""What spans of one name share: kind, trace state, and the JSON before and after their ids."""
_MOST_NAMES = 1000


def _fast_encoder() -> Callable[[Any], str]:
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
_redactor: Redactor | None = None


def redact_with(redactor: Redactor | None) -> None:
    """Keep out of all that is encoded from now on what this replaces; None: nothing."""
    global _redactor  # noqa: PLW0603 - a setting of the process
    _redactor = redactor
    _shapes.clear()
    _frames.clear()


def redacted(text: str) -> str:
    """Return a text as it may be written."""
    return text if _redactor is None else _redactor.text(text)


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


def encode_plain(attributes: Mapping[str, Any]) -> str:
    """Do the same with a dictionary that nobody changes meanwhile."""
    return encode_value(attributes if _redactor is None else _redactor.attributes(attributes))


def _encode_value(name: str, value: Any) -> str:
    return encode_value(value if _redactor is None else _redactor.value(name, value))


def encode_value(attributes: Any) -> str:
    """Encode what holds nothing that has to be kept out."""
    try:
        return _encode(attributes)
    except (ValueError, TypeError):
        return _encode(_representable(attributes))


_shapes: dict[str, tuple[dict[str, Any], str, list[tuple[str, str, bool]]]] = {}
"""Of the spans of one name: their attributes, and the JSON of these cut at each that may differ.

With its key, and whether it is one of ours, in which nothing has to be kept out.
"""
_missed: dict[str, int] = {}
_MOST_MISSES = 100
_LONGEST_SHAPE = 4096
_OF_ONE_TYPE = (names.ATTEMPT, names.CONCURRENT, names.MAX_CONCURRENCY, names.ON_EVENT_LOOP)
_HOLE = "raytrace: here goes "


def encode_alike(name: str, attributes: dict[str, Any], differing: tuple[str, ...]) -> str:
    """Do the same for one of the spans of this `name`, of which only those attributes often change."""
    shape = _shapes.get(name)
    if shape is not None:
        alike, text, holes = shape
        for key, after, is_ours in holes:
            # Another thread may do so too: then they are not equal below, and nothing is lost but time.
            value: Any = attributes.get(key)
            alike[key] = value
            kind = value.__class__ if is_ours else None
            text = (
                f"{text}{quote(value) if kind is str else value if kind is int else _encode_value(key, value)}{after}"
            )
        if alike == attributes:
            return text
    if _missed.get(name, 0) < _MOST_MISSES:
        _remember_shape(name, attributes.copy(), differing)
    return encode_plain(attributes)


def _remember_shape(name: str, attributes: dict[str, Any], differing: tuple[str, ...]) -> None:
    if len(_shapes) >= _MOST_NAMES:
        _shapes.clear()
        _missed.clear()
    _missed[name] = _missed.get(name, 0) + 1
    # What is no text is encoded each time, but for our own: 1, 1.0 and True are equal.
    holes = [
        key
        for key, value in attributes.items()
        if key in differing or (value.__class__ is not str and key not in _OF_ONE_TYPE)
    ]
    shown = attributes if _redactor is None else _redactor.attributes(attributes)
    text = encode_value({**shown, **{key: f"{_HOLE}{key}" for key in holes}})
    if len(text) > _LONGEST_SHAPE:
        return
    pieces = []
    for key in holes:
        before, _, text = text.partition(quote(f"{_HOLE}{key}"))
        pieces.append(before)
    first, *others = [*pieces, text]
    _shapes[name] = (attributes, first, [(key, text, key in differing) for key, text in zip(holes, others)])


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


def encode_head(
    name: str, context: SpanContext, kind: SpanKind, parent: SpanContext | None, start_ns: int | None
) -> str:
    """Return the part of a span's JSON that is known when it starts, up to its start; the others go on."""
    trace_id, span_id, _, _, state, _ = context
    frame = _frames.get(name)
    if frame is None or frame[0] is not kind or frame[1] is not state:
        frame = _new_frame(name, kind, state)
    _, _, before, between = frame
    # As bytes: an id is then text twice as fast as by a format.
    parent_id = "null" if parent is None else f'"0x{parent.span_id.to_bytes(8, "big").hex()}"'
    return (
        f'{before}{trace_id.to_bytes(16, "big").hex()}","span_id":"0x{span_id.to_bytes(8, "big").hex()}{between}'
        f'{parent_id},"start_time":"{timestamp(start_ns or 0)}",'
    )


def _new_frame(name: str, kind: SpanKind, state: Any) -> tuple[SpanKind, Any, str, str]:
    shown = quote(repr(state)) if state else '"[]"'
    frame = (
        kind,
        state,
        f'{{"name":{quote(redacted(name))},"context":{{"trace_id":"0x',
        f'","trace_state":{shown}}},"kind":"SpanKind.{kind.name}","parent_id":',
    )
    if len(_frames) >= _MOST_NAMES:
        _frames.clear()
    _frames[name] = frame
    return frame


def encode_ended(
    head: str, end_ns: int | None, status: Status, attributes: str, events: Any, links: Any, resource: str
) -> bytes:
    """Return the line of a span that has ended. `attributes` and `resource` are JSON already."""
    return (
        f'{head}"end_time":"{timestamp(end_ns or 0)}",'
        f'"status":{_UNSET if status.status_code is _CODE_UNSET else _status(status)},"attributes":{attributes},'
        f'"events":{_events(events) if events else "[]"},"links":{_links(links) if links else "[]"},'
        f'"resource":{resource}}}\n'
    ).encode("ascii")


def encode_open(head: str, attributes: str) -> str:
    """Return the JSON of a span that still runs, closing brace and all."""
    return f'{head}"end_time":null,"status":{_UNSET},"attributes":{attributes},"events":[],"links":[]}}'


def _context(context: SpanContext) -> str:
    shown = quote(repr(context.trace_state)) if context.trace_state else '"[]"'
    return f'{{"trace_id":"0x{context.trace_id:032x}","span_id":"0x{context.span_id:016x}","trace_state":{shown}}}'


def _status(status: Status) -> str:
    if not status.description:
        return _OK if status.status_code is StatusCode.OK else '{"status_code":"ERROR"}'
    return f'{{"status_code":"{status.status_code.name}","description":{quote(redacted(status.description))}}}'


def _events(events: Iterable[Event]) -> str:
    shown = (
        f'{{"name":{quote(redacted(event.name))},"timestamp":"{timestamp(event.timestamp)}",'
        f'"attributes":{encode_mapping(event.attributes)}}}'
        for event in events
    )
    return f"[{','.join(shown)}]"


def _links(links: Iterable[Link]) -> str:
    shown = (f'{{"context":{_context(link.context)},"attributes":{encode_mapping(link.attributes)}}}' for link in links)
    return f"[{','.join(shown)}]"
