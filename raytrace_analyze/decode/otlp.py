"""OTLP JSON: ExportTraceServiceRequests one a line (collectors' files), pretty-printed, or as services answer."""

import base64
import binascii
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from raytrace_analyze.decode.framed.documents import read_documents
from raytrace_analyze.decode.input_format import InputFormat
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.batch import Batch
from raytrace_analyze.decode.records.built import build_record, raw, time_text
from raytrace_analyze.decode.records.record import Record, Status, as_int, as_text
from raytrace_analyze.files.opened import readable
from raytrace_analyze.model import Head, InputFile

_KINDS = ("INTERNAL", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")
_RECORDS = frozenset({"spans"})
_START = re.compile(
    rb'\s*(?:\xef\xbb\xbf)?\s*\[?\s*\{\s*(?:"(?:result|trace)"\s*:\s*\{\s*)?'
    rb'(?:"resource_?[sS]pans"\s*:|"batches"\s*:(?=.*"(?:scope|instrumentationLibrary)Spans"\s*:))',
    re.DOTALL,
)
"""What a service answers wraps the spans once more (`result`: Jaeger's, `trace`: Tempo's) or calls them `batches`."""

_OTHER_ORDER = re.compile(
    rb'\s*(?:\xef\xbb\xbf)?\s*\[?\s*\{\s*"'
    rb'(?=.*"resource_?[sS]pans"\s*:\s*\[)(?=.*"(?:scope_?|instrumentationLibrary)[sS]pans"\s*:)',
    re.DOTALL,
)
"""Members of an object have no order, and there may be others before these."""

_HEX = re.compile(r"(?:[0-9a-fA-F]{16}){1,2}")
_INTEGER = re.compile("-?[0-9]+", re.ASCII)
_UINT64 = 2**64 - 1


def read_otlp(file: InputFile, problems: ProblemList) -> Iterator[Batch]:
    """Give the spans of the file, a batch a document; a span without ids or start is damage."""
    source = readable(file.path)
    for offset, document in read_documents(file, problems, b'{"resourceSpans"', _RECORDS):
        records: list[Record] = []
        for request in document if isinstance(document, list) else [document]:
            answer = _member(request, "result", "trace")
            groups = _member(request if answer is None else answer, "resourceSpans", "resource_spans", "batches")
            if not isinstance(groups, list):
                problems.damage(offset, 0, "JSON, but no spans in OTLP")
                continue
            for record in _records(groups):
                if record is None:
                    problems.damage(offset, 0, "a span without ids or start time")
                else:
                    records.append(record)
        if records:
            yield Batch(records, source, problems, lambda _, at=offset: at)  # type: ignore[misc]  # bound now


def _records(groups: list[Any]) -> Iterator[Record | None]:
    for group in groups:
        resource = _resource(group)
        scopes = _member(group, "scopeSpans", "scope_spans", "instrumentationLibrarySpans")
        for scope in scopes if isinstance(scopes, list) else []:
            spans = _member(scope, "spans")
            for span in spans if isinstance(spans, list) else []:
                yield _record(span, resource)


def _resource(group: Any) -> msgspec.Raw:
    attributes = attributes_of(_member(_member(group, "resource"), "attributes"))
    return raw({"attributes": attributes, "schema_url": as_text(_member(group, "schemaUrl", "schema_url")) or ""})


def _record(span: Any, resource: msgspec.Raw) -> Record | None:
    status = _member(span, "status")
    message = as_text(_member(status, "message"))
    start = as_int(_member(span, "startTimeUnixNano", "start_time_unix_nano"), _UINT64)
    end = as_int(_member(span, "endTimeUnixNano", "end_time_unix_nano"), _UINT64)
    ids = (_id(_member(span, key, snake)) for key, snake in (("traceId", "trace_id"), ("spanId", "span_id")))
    trace_id, span_id = ids
    return build_record(
        (trace_id, span_id, _id(_member(span, "parentSpanId", "parent_span_id")) or None),
        as_text(_member(span, "name")) or "",
        (start or -1, end or None),
        kind=_choice(_member(span, "kind"), "SPAN_KIND_", _KINDS),
        status=Status(_choice(_member(status, "code"), "STATUS_CODE_", _STATUSES), message),
        attributes=attributes_of(_member(span, "attributes")),
        events=[_event(event) for event in _list(_member(span, "events"))],
        links=[_link(link) for link in _list(_member(span, "links"))],
        resource=resource,
    )


def _event(event: Any) -> dict[str, Any]:
    time_ns = as_int(_member(event, "timeUnixNano", "time_unix_nano"), _UINT64)
    return {
        "name": as_text(_member(event, "name")) or "",
        "timestamp": time_text(time_ns or 0),
        "attributes": attributes_of(_member(event, "attributes")),
    }


def _link(link: Any) -> dict[str, Any]:
    trace_id, span_id = _id(_member(link, "traceId", "trace_id")), _id(_member(link, "spanId", "span_id"))
    context = {"trace_id": f"0x{trace_id}", "span_id": f"0x{span_id}", "trace_state": "[]"}
    return {"context": context, "attributes": attributes_of(_member(link, "attributes"))}


def _member(value: Any, key: str, *others: str) -> Any:
    """Give the member under the first key that is there; protobuf's JSON may be in camelCase or as in the schema."""
    if not isinstance(value, dict):
        return None
    if key in value:
        return value[key]
    for other in others:
        if other in value:
            return value[other]
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _id(value: Any) -> str:
    """Give an id as hex; OTLP writes it so, plain protobuf JSON in base64."""
    if not isinstance(value, str) or _HEX.fullmatch(value):
        return value if isinstance(value, str) else ""
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return data.hex() if len(data) in (8, 16) else ""


def _choice(value: Any, prefix: str, names: tuple[str, ...]) -> str:
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return as_text(value).removeprefix(prefix) if isinstance(value, str) else names[0]  # type: ignore[union-attr]


def attributes_of(key_values: Any) -> dict[str, Any]:
    """Give OTLP's list of keys and typed values as a JSON object."""
    found: dict[str, Any] = {}
    for item in _list(key_values):
        if isinstance(item, dict) and isinstance(key := item.get("key"), str):
            value = item.get("value")
            if isinstance(value, dict) and len(value) == 1 and "stringValue" in value:
                found[key] = value[
                    "stringValue"
                ]  # nearly all are texts: to tell kinds apart takes several times as long
            else:
                found[key] = value_of(value)
    return found


def value_of(value: Any) -> Any:
    """Give an AnyValue as JSON; bytes stay base64."""
    if not isinstance(value, dict) or not value:
        return None
    key, content = next(iter(value.items()))
    match _kind_of_value(key):
        case "intvalue":
            return _integer(content)
        case "doublevalue":
            return float(content) if isinstance(content, int | float | str) and _is_number(content) else None
        case "arrayvalue":
            return [value_of(item) for item in _list(_member(content, "values"))]
        case "kvlistvalue":
            return attributes_of(_member(content, "values"))
        case _:
            return content


@lru_cache(maxsize=256)
def _kind_of_value(key: str) -> str:
    return key.replace("_", "").lower()


def _integer(content: Any) -> Any:
    if isinstance(content, str) and len(content) <= 20 and _INTEGER.fullmatch(content):
        return int(content)
    return content


def _is_number(content: float | str) -> bool:
    try:
        float(content)
    except (ValueError, OverflowError):
        return False
    return True


def _is_otlp(head: Head) -> bool:
    return (_START.match(head.content) or _OTHER_ORDER.match(head.content)) is not None


FORMAT = InputFormat("OTLP JSON", _is_otlp, read=read_otlp)
"""OpenTelemetry's own format, in its JSON encoding."""
