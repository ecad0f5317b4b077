"""OTLP's binary encoding: of a request, the same as its JSON, field by field as in trace.proto; of its answer."""

import base64
from typing import Any

from raytrace_analyze.exports.wire import (
    BYTES,
    VARINT,
    double,
    fields,
    fixed64,
    many,
    message,
    number,
    set_number,
    text,
)


def encode_request(request: dict[str, Any]) -> bytes:
    """Encode an ExportTraceServiceRequest that is given as its JSON form (names in camelCase, ids in hex)."""
    return many(1, request["resourceSpans"], _resource_spans)


def _resource_spans(value: dict[str, Any]) -> bytes:
    resource = many(1, value["resource"]["attributes"], _key_value)
    return message(1, resource) + many(2, value["scopeSpans"], _scope_spans) + text(3, value.get("schemaUrl"))


def _scope_spans(value: dict[str, Any]) -> bytes:
    return message(1, text(1, value["scope"]["name"])) + many(2, value["spans"], _span)


def _span(value: dict[str, Any]) -> bytes:
    status = value["status"]
    return b"".join(
        (
            _id(1, value["traceId"]),
            _id(2, value["spanId"]),
            _id(4, value.get("parentSpanId")),
            text(5, value["name"]),
            number(6, value["kind"]),
            _time(7, value["startTimeUnixNano"]),
            _time(8, value.get("endTimeUnixNano")),
            many(9, value["attributes"], _key_value),
            many(11, value["events"], _event),
            many(13, value["links"], _link),
            message(15, text(2, status.get("message")) + number(3, status["code"])),
        )
    )


def _event(value: dict[str, Any]) -> bytes:
    return _time(1, value["timeUnixNano"]) + text(2, value["name"]) + many(3, value["attributes"], _key_value)


def _link(value: dict[str, Any]) -> bytes:
    return _id(1, value["traceId"]) + _id(2, value["spanId"]) + many(4, value["attributes"], _key_value)


def _key_value(value: dict[str, Any]) -> bytes:
    return text(1, value["key"]) + message(2, _any_value(value["value"]))


def _any_value(value: dict[str, Any]) -> bytes:
    """Encode a value; a member that is set is written even where it is empty, or its type would be lost."""
    for kind, content in value.items():
        match kind:
            case "stringValue":
                return message(1, content.encode())
            case "boolValue":
                return set_number(2, int(content))
            case "intValue":
                return set_number(3, int(content))
            case "doubleValue":
                return double(4, float(content))
            case "arrayValue":
                return message(5, many(1, content["values"], _any_value))
            case "kvlistValue":
                return message(6, many(1, content["values"], _key_value))
            case "bytesValue":
                return message(7, base64.b64decode(content))
    return b""


def _id(field: int, value: str | None) -> bytes:
    """Encode an id in hex; one that is none is left out."""
    try:
        return message(field, bytes.fromhex(value)) if value else b""
    except ValueError:
        return b""


def _time(field: int, value: str | None) -> bytes:
    return fixed64(field, int(value)) if value else b""


def read_partial_success(answer: bytes) -> tuple[int, str]:
    """Give how many spans an ExportTraceServiceResponse rejects, and why; 0 for what is no such answer."""
    told = fields(fields(answer).get((1, BYTES), b""))
    rejected, reason = told.get((1, VARINT), 0), told.get((2, BYTES), b"")
    assert isinstance(rejected, int) and isinstance(reason, bytes)
    return rejected, reason.decode("utf-8", "replace")
