"""OTLP's binary encoding: of a request, the same as its JSON, field by field as in trace.proto; of its answer."""

import base64
import struct
from collections.abc import Callable, Iterable
from typing import Any

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_WIDTHS = {_FIXED64: 8, 5: 4}
_UINT64 = 1 << 64


def encode_request(request: dict[str, Any]) -> bytes:
    """Encode an ExportTraceServiceRequest that is given as its JSON form (names in camelCase, ids in hex)."""
    return _many(1, request["resourceSpans"], _resource_spans)


def _resource_spans(value: dict[str, Any]) -> bytes:
    resource = _many(1, value["resource"]["attributes"], _key_value)
    return _message(1, resource) + _many(2, value["scopeSpans"], _scope_spans) + _text(3, value.get("schemaUrl"))


def _scope_spans(value: dict[str, Any]) -> bytes:
    return _message(1, _text(1, value["scope"]["name"])) + _many(2, value["spans"], _span)


def _span(value: dict[str, Any]) -> bytes:
    status = value["status"]
    return b"".join(
        (
            _id(1, value["traceId"]),
            _id(2, value["spanId"]),
            _id(4, value.get("parentSpanId")),
            _text(5, value["name"]),
            _number(6, value["kind"]),
            _time(7, value["startTimeUnixNano"]),
            _time(8, value.get("endTimeUnixNano")),
            _many(9, value["attributes"], _key_value),
            _many(11, value["events"], _event),
            _many(13, value["links"], _link),
            _message(15, _text(2, status.get("message")) + _number(3, status["code"])),
        )
    )


def _event(value: dict[str, Any]) -> bytes:
    return _time(1, value["timeUnixNano"]) + _text(2, value["name"]) + _many(3, value["attributes"], _key_value)


def _link(value: dict[str, Any]) -> bytes:
    return _id(1, value["traceId"]) + _id(2, value["spanId"]) + _many(4, value["attributes"], _key_value)


def _key_value(value: dict[str, Any]) -> bytes:
    return _text(1, value["key"]) + _message(2, _any_value(value["value"]))


def _any_value(value: dict[str, Any]) -> bytes:
    """Encode a value; a member that is set is written even where it is empty, or its type would be lost."""
    for kind, content in value.items():
        match kind:
            case "stringValue":
                return _message(1, content.encode())
            case "boolValue":
                return _key(2, _VARINT) + _varint(int(content))
            case "intValue":
                return _key(3, _VARINT) + _varint(int(content) % _UINT64)
            case "doubleValue":
                return _key(4, _FIXED64) + struct.pack("<d", float(content))
            case "arrayValue":
                return _message(5, _many(1, content["values"], _any_value))
            case "kvlistValue":
                return _message(6, _many(1, content["values"], _key_value))
            case "bytesValue":
                return _message(7, base64.b64decode(content))
    return b""


def _many(field: int, values: Iterable[dict[str, Any]], encode: Callable[[dict[str, Any]], bytes]) -> bytes:
    return b"".join(_message(field, encode(value)) for value in values)


def _message(field: int, content: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(content)) + content


def _text(field: int, value: str | None) -> bytes:
    return _message(field, value.encode()) if value else b""


def _id(field: int, value: str | None) -> bytes:
    """Encode an id in hex; one that is none is left out."""
    try:
        return _message(field, bytes.fromhex(value)) if value else b""
    except ValueError:
        return b""


def _number(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(value) if value else b""


def _time(field: int, value: str | None) -> bytes:
    return _key(field, _FIXED64) + struct.pack("<Q", int(value)) if value else b""


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def read_partial_success(answer: bytes) -> tuple[int, str]:
    """Give how many spans an ExportTraceServiceResponse rejects, and why; 0 for what is no such answer."""
    told = _fields(_fields(answer).get((1, _BYTES), b""))
    rejected, message = told.get((1, _VARINT), 0), told.get((2, _BYTES), b"")
    assert isinstance(rejected, int) and isinstance(message, bytes)
    return rejected, message.decode("utf-8", "replace")


def _fields(content: Any) -> dict[tuple[int, int], Any]:
    """Read a message as far as it can be read: the last value of each field, by its number and kind."""
    found: dict[tuple[int, int], Any] = {}
    position = 0
    try:
        while position < len(content):
            key, position = _read_varint(content, position)
            kind = key & 7
            if kind == _BYTES:
                length, position = _read_varint(content, position)
                value: Any = content[position : position + length]
                position += length
            elif kind == _VARINT:
                value, position = _read_varint(content, position)
            else:
                value = None
                position += _WIDTHS[kind]
            found[key >> 3, kind] = value
    except (IndexError, KeyError):
        pass
    return found


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for number in range(10):
        byte = content[position + number]
        value |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            return value, position + number + 1
    raise IndexError
