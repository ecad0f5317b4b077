"""Writes realistic span files of any size: names, attributes and depth as in the captures of real Ray runs.

    python -m benchmarks.generate DIR --spans 1000000 --files 200
    python -m benchmarks.generate DIR --spans 1000000 --format pretty
    python -m benchmarks.generate DIR --spans 2000000 --spans-a-trace 2000000 --files 3   # one large job

Formats: `hook` (one record a line, as raytrace_hook writes it), `stock` (as Ray's own hook: one a line, no waits),
`pretty` (the hook's records as ConsoleSpanExporter prints them), `otlp` and `jaeger` (one document a line).
It is written as it is made: memory does not grow with the number of spans, but for that of the largest trace.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.rendering import Renderer, fill, kind_of, name_of
from benchmarks.shapes import Size, make_blocks

FORMATS = ("hook", "stock", "pretty", "otlp", "jaeger")
_COMPACT = (",", ":")
_SLICE = 50_000
_SUFFIX = {"hook": "jsonl", "stock": "txt"}


def write_spans(folder: Path, size: Size, format: str = "hook") -> int:
    """Write a file a process to the folder; gives how many spans were written."""
    folder.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(size.seed, recorded=format != "stock", nanoseconds=format in ("hook", "pretty"))
    written = 0
    for block in make_blocks(size):
        for part in renderer.texts(block).filter(pl.col("kind").is_in(renderer.kinds())).iter_slices(_SLICE):
            lines = (
                _documents(part, renderer, format) if format in ("otlp", "jaeger") else _records(part, renderer, format)
            )
            written += part.height
            for process, text in lines:
                name = f"spans-host_a-{6000 + process}-1795461333905830418-{process:08x}.{_SUFFIX.get(format, 'json')}"
                with (folder / name).open("a") as file:
                    file.write(text + "\n")
    return written


def _records(part: pl.DataFrame, renderer: Renderer, format: str) -> Iterator[tuple[int, str]]:
    indent, separators = (4, None) if format == "pretty" else (None, _COMPACT if format == "hook" else None)
    yield from _joined(_each_kind(part, renderer, indent, separators, lambda kind: _console(kind, renderer)), "\n")


def _console(kind: str, renderer: Renderer) -> dict[str, Any]:
    return {
        "name": name_of(kind),
        "context": {"trace_id": "0x<trace_text>", "span_id": "0x<span_id>", "trace_state": "[]"},
        "kind": f"SpanKind.{kind_of(kind)}",
        "parent_id": "<raw:parent>",
        "start_time": "<start_text>",
        "end_time": "<end_text>",
        "status": {"status_code": "UNSET"},
        "attributes": renderer.attributes(kind),
        "events": [],
        "links": [],
        "resource": {"attributes": renderer.resource(), "schema_url": ""},
    }


def _each_kind(
    part: pl.DataFrame, renderer: Renderer, indent: int | None, separators: Any, record_of: Any
) -> pl.DataFrame:
    rows = [
        part.filter(pl.col("kind") == kind).select(
            "process", "end", "row", *_RESOURCE_HOLES, text=fill(record_of(kind), indent, separators)
        )
        for kind in renderer.kinds()
    ]
    return pl.concat(rows).sort("end", "row")


_RESOURCE_HOLES = ("trace_text", "pid", "node", "worker", "instance", "job_id")


def _joined(rows: pl.DataFrame, separator: str) -> Iterator[tuple[int, str]]:
    yield from rows.group_by("process", maintain_order=True).agg(pl.col("text").str.join(separator)).iter_rows()


def _documents(part: pl.DataFrame, renderer: Renderer, format: str) -> Iterator[tuple[int, str]]:
    """Write a document a process and block: an export request, or a trace with its one process."""
    of_document = ["process"] if format == "otlp" else ["process", "trace_text"]
    spans = _otlp if format == "otlp" else _jaeger
    rows = _each_kind(part, renderer, None, _COMPACT, lambda kind: spans(kind, renderer))
    holes = [pl.col(name).first() for name in _RESOURCE_HOLES if name not in of_document]
    documents = rows.group_by(of_document, maintain_order=True).agg(*holes, spans=pl.col("text").str.join(","))
    resource = renderer.resource()
    whole: dict[str, Any]
    if format == "otlp":
        scope = {"scope": {"name": "ray.util.tracing.tracing_helper"}, "spans": ["<raw:spans>"]}
        whole = {"resourceSpans": [{"resource": {"attributes": _key_values(resource)}, "scopeSpans": [scope]}]}
    else:
        process = {"serviceName": "ray", "tags": _tags(resource)}
        whole = {"data": [{"traceID": "<trace_text>", "spans": ["<raw:spans>"], "processes": {"p1": process}}]}
    yield from _joined(documents.select("process", text=fill(whole, None, _COMPACT)), "\n")


def _otlp(kind: str, renderer: Renderer) -> dict[str, Any]:
    return {
        "traceId": "<trace_text>",
        "spanId": "<span_id>",
        "parentSpanId": "<parent_id>",
        "name": name_of(kind),
        "kind": {"PRODUCER": 4, "CONSUMER": 5}.get(kind_of(kind), 1),
        "startTimeUnixNano": "<start>",
        "endTimeUnixNano": "<end>",
        "attributes": _key_values(renderer.attributes(kind)),
        "status": {},
    }


def _jaeger(kind: str, renderer: Renderer) -> dict[str, Any]:
    return {
        "traceID": "<trace_text>",
        "spanID": "<span_id>",
        "references": [{"refType": "CHILD_OF", "traceID": "<trace_text>", "spanID": "<parent_id>"}],
        "operationName": name_of(kind),
        "startTime": "<raw:start_us>",
        "duration": "<raw:took_us>",
        "processID": "p1",
        "tags": [
            *_tags(renderer.attributes(kind)),
            {"key": "span.kind", "type": "string", "value": kind_of(kind).lower()},
        ],
        "logs": [],
    }


def _key_values(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]


def _any_value(value: Any) -> dict[str, Any]:
    if value == "<raw:ready>":
        return {"arrayValue": {"values": "<raw:ready_values>"}}
    if isinstance(value, list):
        return {"arrayValue": {"values": []}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) or value in ("<raw:awaited>", "<raw:pid>"):
        return {"intValue": str(value).replace("raw:", "")}
    return {"stringValue": value}


def _tags(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "type": "string", "value": value} for key, value in attributes.items()]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=200, help="processes, of which each writes one")
    parser.add_argument("--spans-a-trace", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--format", choices=FORMATS, default="hook")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    size = Size(given.spans, given.spans_a_trace, given.files, given.jobs, given.seed)
    print(f"{write_spans(given.folder, size, given.format):,} spans in {given.folder}")


if __name__ == "__main__":
    main()
