"""Writes span files as the exporters do, for the tests of finding and decoding them."""

import gzip
import json
from pathlib import Path
from typing import Any

import zstandard

from raytrace_analyze.decode import span_json
from raytrace_analyze.model import Compression, InputFile

RESOURCE = {
    "attributes": {
        "telemetry.sdk.language": "python",
        "service.instance.id": "e3e55f83-9311-4f6c-b505-930d8a1f8ce1",
        "service.name": "unknown_service:python",
    },
    "schema_url": "",
}


def span(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A span as Ray's own hook records it; `changes` replace whole fields."""
    record = {
        "name": "__main__.map_part ray.remote_worker",
        "context": {"trace_id": f"0x{number:032x}", "span_id": f"0x{number:016x}", "trace_state": "[]"},
        "kind": "SpanKind.CONSUMER",
        "parent_id": "0x751754a7ba668610",
        "start_time": "2026-11-23T08:55:46.501412Z",
        "end_time": "2026-11-23T08:55:46.670512Z",
        "status": {"status_code": "UNSET"},
        "attributes": {
            "ray.remote": "function",
            "ray.function": "__main__.map_part",
            "ray.pid": "6473",
            "ray.job_id": "01000000",
            "ray.node_id": "b311a889c45df299f7d77623482b91a92b3ec96a27301c228b18e61b",
            "ray.task_id": "16310a0f0a45af5cffffffffffffffffffffffff01000000",
            "ray.worker_id": "9e3cc83cdf9ecada6219f3dcc0f610bc01834013ebace305a384bada",
        },
        "events": [],
        "links": [],
        "resource": RESOURCE,
    }
    return record | changes


def span_id(number: int) -> str:
    return f"{number:016x}"


def one_line(record: dict[str, Any]) -> bytes:
    """As Ray's `setup_local_tmp_tracing` and our hook write it."""
    return json.dumps(record).encode() + b"\n"


def pretty(record: dict[str, Any]) -> bytes:
    """As the documentation's hook writes it."""
    return json.dumps(record, indent=4).encode() + b"\n"


def glued(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


def pretty_glued(record: dict[str, Any]) -> bytes:
    return json.dumps(record, indent=4).encode()


def crlf(record: dict[str, Any]) -> bytes:
    return pretty(record).replace(b"\n", b"\r\n")


FORMS = (one_line, pretty, glued, pretty_glued, crlf)

PACK = {
    Compression.NONE: lambda content: content,
    Compression.GZIP: lambda content: gzip.compress(content, mtime=0),
    Compression.ZSTD: zstandard.ZstdCompressor(write_checksum=True).compress,
}


def span_file(
    path: Path,
    content: bytes,
    compression: Compression = Compression.NONE,
    format: str = span_json.FORMAT.name,
) -> InputFile:
    """Write the content, packed, and say what it is."""
    packed = PACK[compression](content)
    path.write_bytes(packed)
    return InputFile(path, format, compression, len(packed))
