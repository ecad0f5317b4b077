"""Jaeger JSON: `{"data": [trace, ...]}`, as its UI and query API give it; traces, or spans as it stores them."""

import json
import re
from collections.abc import Iterator
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

_RECORDS = frozenset({"spans"})
_START = re.compile(rb'\s*(?:\xef\xbb\xbf)?\s*(?:(?:\{\s*"data"\s*:\s*)?\[\s*)?\{\s*"traceID"\s*:')
_OTHER_ORDER = re.compile(
    rb'\s*(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*"'
    rb'(?=.*"traceID"\s*:\s*")(?=.*"spanID"\s*:\s*")(?=.*"operationName"\s*:\s*")',
    re.DOTALL,
)
"""Members of an object have no order, and there may be others: whoever wrote the file may have sorted or added some."""

_TYPES: dict[str, type | tuple[type, ...]] = {"bool": bool, "int64": int, "float64": (int, float)}
_INT64_MAX = 2**63 - 1
_OWN = frozenset(
    {
        "span.kind",
        "error",
        "otel.status_code",
        "otel.status_description",
        "raytrace_analyze.start_ns",
        "raytrace_analyze.end_ns",
    }
    | {"raytrace_analyze.critical_path"}
)
"""Tags that say what stands elsewhere in a record."""


def read_jaeger(file: InputFile, problems: ProblemList) -> Iterator[Batch]:
    """Give the spans of the file, a batch a trace. A span without ids or start is damage."""
    source = readable(file.path)
    for offset, document in read_documents(file, problems, b'{"data"', _RECORDS):
        for trace in _traces(_data(document)):
            spans = trace.get("spans") if isinstance(trace, dict) else None
            if not isinstance(trace, dict) or not isinstance(spans, list):
                problems.damage(offset, 0, "JSON, but no trace of Jaeger's")
                continue
            resources = _resources(trace.get("processes"))
            records = [_record(span, resources) for span in spans]
            if None in records:
                problems.damage(offset, 0, "a span without ids or start time")
            known = [record for record in records if record is not None]
            if known:
                yield Batch(known, source, problems, lambda _, at=offset: at)  # type: ignore[misc]  # bound now


def _data(document: Any) -> list[Any]:
    """Give the traces, or spans, that a document holds: Jaeger's, or what Elasticsearch answers of its storage."""
    if isinstance(document, dict):
        hits = document.get("hits")
        document = document.get("data", hits.get("hits") if isinstance(hits, dict) else document)
    return document if isinstance(document, list) else [document]


def _traces(data: list[Any]) -> list[Any]:
    """Put spans that stand alone, each with its own process as in Jaeger's storage, into a trace."""
    alone: list[dict[str, Any]] = []
    traces: list[Any] = []
    for row in data:
        stored = row.get("_source") if isinstance(row, dict) else None  # of Elasticsearch
        one = stored if isinstance(stored, dict) else row
        (alone if isinstance(one, dict) and "spanID" in one else traces).append(one)
    if not alone:
        return traces
    spans = [{**span, "processID": str(number)} for number, span in enumerate(alone)]
    processes = {str(number): span.get("process") for number, span in enumerate(alone)}
    return [*traces, {"spans": spans, "processes": processes}]


def _resources(processes: Any) -> dict[str, msgspec.Raw]:
    made = {key: _resource(process) for key, process in processes.items()} if isinstance(processes, dict) else {}
    return {key: resource for key, resource in made.items() if resource is not None}


def _resource(process: Any) -> msgspec.Raw | None:
    if not isinstance(process, dict):
        return None
    attributes = _tags(process.get("tags"))
    name = as_text(process.get("serviceName"))
    attributes |= {"service.name": name} if name and "service.name" not in attributes else {}
    return raw({"attributes": attributes, "schema_url": ""})


def _record(span: Any, resources: dict[str, msgspec.Raw]) -> Record | None:
    if not isinstance(span, dict):
        return None
    tags = _tags(span.get("tags"))
    references = [one for one in _list(span.get("references")) if isinstance(one, dict)]
    trace_id = as_text(span.get("traceID")) or ""
    parents = [one for one in references if one.get("refType", "CHILD_OF") == "CHILD_OF"]
    parent_id = as_text(parents[0].get("spanID")) if parents else as_text(span.get("parentSpanID"))
    return build_record(
        (_padded(trace_id, 32), _padded(as_text(span.get("spanID")) or "", 16), parent_id and _padded(parent_id, 16)),
        as_text(span.get("operationName")) or "",
        _times(span, tags),
        kind=(as_text(tags.get("span.kind")) or "internal").upper(),
        status=_status(tags),
        attributes={key: value for key, value in tags.items() if key not in _OWN},
        events=[_event(log) for log in _list(span.get("logs")) if isinstance(log, dict)],
        links=[_link(one) for one in references if one not in parents[:1]],
        resource=resources.get(as_text(span.get("processID")) or "") or _resource(span.get("process")) or raw({}),
    )


def _padded(text: str, digits: int) -> str:
    """Jaeger leaves out zeros at the front of an id."""
    return text.lower().rjust(digits, "0") if text else ""


def _times(span: dict[str, Any], tags: dict[str, Any]) -> tuple[int, int | None]:
    """Give start and end in ns: what our own export noted, or Jaeger's microseconds."""
    exact = as_int(tags.get("raytrace_analyze.start_ns"), _INT64_MAX)
    if exact is not None:
        return exact, as_int(tags.get("raytrace_analyze.end_ns"), _INT64_MAX)
    start = as_int(span.get("startTime"), _INT64_MAX // 1000)
    duration = as_int(span.get("duration"), _INT64_MAX // 1000)
    if start is None:
        return -1, None
    return start * 1000, None if duration is None else (start + duration) * 1000


def _status(tags: dict[str, Any]) -> Status:
    code = as_text(tags.get("otel.status_code"))
    if code is None and tags.get("error") in (True, "true"):
        code = "ERROR"
    return Status(code or "UNSET", as_text(tags.get("otel.status_description")))


def _event(log: dict[str, Any]) -> dict[str, Any]:
    fields = _tags(log.get("fields"))
    exact = as_int(fields.pop("raytrace_analyze.time_ns", None), _INT64_MAX)
    time_us = as_int(log.get("timestamp"), _INT64_MAX // 1000) or 0
    name = as_text(fields.pop("event", None)) or ""
    return {"name": name, "timestamp": time_text(time_us * 1000 if exact is None else exact), "attributes": fields}


def _link(reference: dict[str, Any]) -> dict[str, Any]:
    trace_id, span_id = as_text(reference.get("traceID")) or "", as_text(reference.get("spanID")) or ""
    ids = {"trace_id": f"0x{_padded(trace_id, 32)}", "span_id": f"0x{_padded(span_id, 16)}", "trace_state": "[]"}
    return {"context": ids, "attributes": {}}


def _tags(tags: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tag in _list(tags):
        if isinstance(tag, dict) and isinstance(tag.get("key"), str):
            found[tag["key"]] = _value(tag.get("value"), tag.get("type"))
    return found


def _value(value: Any, kind: Any) -> Any:
    """Give a tag's value: by its kind where storage made text of it; of the JSON text that exporters make, the list."""
    if not isinstance(value, str):
        return value
    is_list = value[:1] == "[" and value[-1:] == "]"
    wanted = _TYPES.get(kind) if isinstance(kind, str) else None
    if is_list or wanted is not None:
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if is_list or (wanted is not None and isinstance(found, wanted)) else value
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_jaeger(head: Head) -> bool:
    return (_START.match(head.content) or _OTHER_ORDER.match(head.content)) is not None


FORMAT = InputFormat("Jaeger JSON", _is_jaeger, read=read_jaeger)
