"""OTLP in its JSON encoding: an ExportTraceServiceRequest a line, as collectors write it."""

import base64
import math
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby, islice
from typing import Any, BinaryIO

from raytrace_analyze.exports.encoding import decoded, json_bytes, resource_attributes
from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection

KINDS = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
STATUSES = {"UNSET": 0, "OK": 1, "ERROR": 2}

COLUMNS = (
    *("trace_id", "span_id", "parent_id", "name", "kind", "status", "status_message"),
    *("attributes", "events", "links", "resource"),
)
"""What of a span is in its record."""

REQUEST_SPANS = 512
"""How many spans are in one request: some 500 kB, well below what collectors take."""

_INT64 = range(-(2**63), 2**63)
_SCOPE = {"name": "raytrace-analyze"}


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it: one request a line."""
    stream.writelines(json_bytes(request) + b"\n" for request in _requests(selection))


def _requests(selection: Selection) -> Iterator[dict[str, Any]]:
    """Give the spans as requests, in the order of the table."""
    return map(request_of, slices(selection.rows(COLUMNS)))


def slices(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Give rows in as many as make a request."""
    while batch := list(islice(rows, REQUEST_SPANS)):
        yield batch


def request_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Give spans, rows with `COLUMNS` and their times, as one request, each resource once."""
    ordered = sorted(rows, key=lambda row: row["resource"] or "")
    groups = groupby(ordered, key=lambda row: row["resource"])
    return {"resourceSpans": [_resource_spans(text, list(spans)) for text, spans in groups]}


def _resource_spans(resource: str | None, rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = {
        "resource": {"attributes": key_values(resource_attributes(resource))},
        "scopeSpans": [{"scope": _SCOPE, "spans": [_span(row) for row in rows]}],
    }
    schema_url = decoded(resource, {}).get("schema_url")
    return found | ({"schemaUrl": schema_url} if isinstance(schema_url, str) and schema_url else {})


def _span(row: dict[str, Any]) -> dict[str, Any]:
    span: dict[str, Any] = {
        "traceId": row["trace_id"],
        "spanId": row["span_id"],
        "name": row["name"],
        "kind": KINDS[row["kind"]],
        "startTimeUnixNano": str(row["start_ns"]),
    }
    if row["parent_id"] is not None:
        span["parentSpanId"] = row["parent_id"]
    if row["end_ns"] is not None:
        span["endTimeUnixNano"] = str(row["end_ns"])
    span["attributes"] = key_values(decoded(row["attributes"], {}))
    span["events"] = [_event(event) for event in decoded(row["events"], []) if isinstance(event, dict)]
    span["links"] = [_link(link) for link in decoded(row["links"], []) if isinstance(link, dict)]
    span["status"] = {"code": STATUSES[row["status"]]}
    if row["status_message"] is not None:
        span["status"]["message"] = row["status_message"]
    return span


def _event(event: dict[str, Any]) -> dict[str, Any]:
    attributes = event.get("attributes")
    return {
        "timeUnixNano": str(event_ns(event.get("timestamp"))),
        "name": str(event.get("name", "")),
        "attributes": key_values(attributes if isinstance(attributes, dict) else {}),
    }


def event_ns(timestamp: object) -> int:
    """Give the time of an event in ns since the epoch; 0 for what is no time."""
    try:
        text = str(timestamp)
        second = datetime.fromisoformat(text[:19] + "+00:00")
        fraction = "".join(digit for digit in text[20:29] if digit.isdigit()) if text[19:20] == "." else ""
        return int(second.timestamp()) * 10**9 + int(fraction.ljust(9, "0"))
    except ValueError:
        return 0


def _link(link: dict[str, Any]) -> dict[str, Any]:
    context, attributes = link.get("context"), link.get("attributes")
    ids = context if isinstance(context, dict) else {}
    return {
        "traceId": str(ids.get("trace_id", "")).removeprefix("0x"),
        "spanId": str(ids.get("span_id", "")).removeprefix("0x"),
        "attributes": key_values(attributes if isinstance(attributes, dict) else {}),
    }


def key_values(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Give attributes as OTLP's list of keys and typed values."""
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def any_value(value: Any) -> dict[str, Any]:
    """Give a JSON value as an OTLP AnyValue; an integer beyond 64 bits becomes text, null a value without a type."""
    match value:
        case str():  # first, as most are
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)} if value in _INT64 else {"stringValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else _name_of(value)}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list():
            return {"arrayValue": {"values": [any_value(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": key_values(value)}}
        case _:
            return {}


def _name_of(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


_BEGINS = re.compile(rb'\{"resourceSpans":\[.*"scope":\{"name":"raytrace-analyze"\}', re.DOTALL)

FORMAT = OutputFormat("otlp", write, _BEGINS, shows_path=False)
