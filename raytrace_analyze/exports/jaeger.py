"""Jaeger's JSON, as its UI and query API give and take it; the critical path is marked by a tag."""

import re
from itertools import groupby
from typing import Any, BinaryIO

from raytrace_analyze.exports.encoding import decoded, json_bytes, resource_attributes
from raytrace_analyze.exports.otlp import COLUMNS, event_ns
from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection

CRITICAL_PATH = "raytrace_analyze.critical_path"
EXACT_START, EXACT_END = "raytrace_analyze.start_ns", "raytrace_analyze.end_ns"
"""Tags of ours: Jaeger's own times are whole microseconds. Text, as JavaScript's numbers would lose digits."""


_SAMPLED = 1
"""Jaeger leaves it out where it is 0; readers of others that know its files of before cannot do without."""


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write one document with a trace after the other."""
    on_path = selection.path_span_ids()
    stream.write(b'{"data":[\n')
    separator = b""
    for trace_id, rows in groupby(selection.by_trace().rows(COLUMNS), key=lambda row: row["trace_id"]):
        stream.write(b'%s{"traceID":%s,"spans":[\n' % (separator, json_bytes(trace_id)))
        processes: dict[str | None, str] = {}
        between = b""
        for row in rows:
            process = processes.setdefault(row["resource"], f"p{len(processes) + 1}")
            stream.write(between + json_bytes(_span(row, process, (trace_id, row["span_id"]) in on_path)))
            between = b",\n"
        named = {number: _process(text) for text, number in processes.items()}
        stream.write(b'],"processes":%s,"warnings":null}' % json_bytes(named))
        separator = b",\n"
    stream.write(b'\n],"total":0,"limit":0,"offset":0,"errors":null}\n')


def _span(row: dict[str, Any], process: str, is_on_path: bool) -> dict[str, Any]:
    trace_id, parent_id = row["trace_id"], row["parent_id"]
    start, end = row["start_ns"], row["end_ns"]
    references = [] if parent_id is None else [_reference("CHILD_OF", trace_id, parent_id)]
    for link in decoded(row["links"], []):
        ids = link.get("context") if isinstance(link, dict) else None
        if isinstance(ids, dict):
            references.append(_reference("FOLLOWS_FROM", _bare(ids.get("trace_id")), _bare(ids.get("span_id"))))
    return {
        "traceID": trace_id,
        "spanID": row["span_id"],
        "flags": _SAMPLED,
        "operationName": row["name"],
        "references": references,
        "startTime": start // 1000,
        "duration": 0 if end is None else max(end // 1000 - start // 1000, 0),
        "tags": _own_tags(row, is_on_path) + tags(decoded(row["attributes"], {})),
        "logs": [_log(event) for event in decoded(row["events"], []) if isinstance(event, dict)],
        "processID": process,
        "warnings": ["this span had not ended"] if end is None else None,
    }


def _own_tags(row: dict[str, Any], is_on_path: bool) -> list[dict[str, Any]]:
    own: dict[str, Any] = {"span.kind": row["kind"].lower(), EXACT_START: str(row["start_ns"])}
    if row["end_ns"] is not None:
        own[EXACT_END] = str(row["end_ns"])
    if is_on_path:
        own[CRITICAL_PATH] = True
    if row["status"] != "UNSET":
        own["otel.status_code"] = row["status"]
    if row["status"] == "ERROR":
        own["error"] = True
    if row["status_message"] is not None:
        own["otel.status_description"] = row["status_message"]
    return tags(own)


def _reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def _bare(text: object) -> str:
    return str(text or "").removeprefix("0x")


def _log(event: dict[str, Any]) -> dict[str, Any]:
    attributes = event.get("attributes")
    time_ns = event_ns(event.get("timestamp"))
    fields = {"event": str(event.get("name", "")), "raytrace_analyze.time_ns": str(time_ns)}
    return {"timestamp": time_ns // 1000, "fields": tags(fields | (attributes if isinstance(attributes, dict) else {}))}


def _process(resource: str | None) -> dict[str, Any]:
    attributes = resource_attributes(resource)
    name = attributes.get("service.name")
    return {"serviceName": name if isinstance(name, str) and name else "unknown_service", "tags": tags(attributes)}


def tags(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Give attributes as Jaeger's tags. It knows no lists and objects: those become JSON text."""
    return [_tag(key, value) for key, value in attributes.items()]


def _tag(key: str, value: Any) -> dict[str, Any]:
    match value:
        case str():  # first, as most are
            return {"key": key, "type": "string", "value": value}
        case bool():
            return {"key": key, "type": "bool", "value": value}
        case int() if -(2**63) <= value < 2**63:
            return {"key": key, "type": "int64", "value": value}
        case float():
            return {"key": key, "type": "float64", "value": value}
        case _:
            return {"key": key, "type": "string", "value": json_bytes(value).decode()}


FORMAT = OutputFormat(
    "jaeger", write, re.compile(rb'\{"data":\[\n\{"traceID":.*"raytrace_analyze\.start_ns"', re.DOTALL)
)
