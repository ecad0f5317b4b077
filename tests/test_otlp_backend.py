"""A real OTLP backend takes what `export` sends, in JSON and in protobuf, and passes on the same spans."""

import base64
import gzip
import http.server
import importlib.util
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.exports.otlp import event_ns

CAPTURES = Path(__file__).parent.parent / "sample_spans"
SPANS = (CAPTURES / "failures-ours" / "spans", CAPTURES / "custom_spans-doc" / "spans")
IDS = ("traceId", "spanId", "parentSpanId")


@contextmanager
def receiver() -> Iterator[tuple[int, list[bytes]]]:
    """Listens on the loopback for what the backend passes on; gives its port and the requests."""
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, bodies
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def backend(to: int, folder: Path) -> Iterator[int]:
    """Runs rotel, which passes on what it gets; gives the port that it listens on."""
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        pytest.skip("rotel is not installed")
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    command = [
        *(
            str(Path(found.origin).with_name("rotel-agent")),
            "start",
            "--exporter=otlp",
            "--otlp-exporter-protocol=http",
        ),
        *(f"--otlp-exporter-endpoint=http://127.0.0.1:{to}", f"--otlp-http-endpoint=127.0.0.1:{ports[0]}"),
        f"--otlp-grpc-endpoint=127.0.0.1:{ports[1]}",
    ]
    with (folder / "rotel.txt").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", ports[0])) == 0)
            yield ports[0]
        finally:
            process.terminate()


def wait_until(holds: Any) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that within a minute")


def in_json(body: bytes) -> dict[str, Any]:
    """A request as OTLP's JSON has it: ids in hex, which protobuf's JSON has in base64."""
    document = MessageToDict(ExportTraceServiceRequest.FromString(body))
    for one in document["resourceSpans"]:
        for scope in one["scopeSpans"]:
            for span in scope["spans"]:
                for part in (span, *span.get("links", ())):
                    part.update({key: base64.b64decode(part[key]).hex() for key in IDS if key in part})
    return document


def comparable(spans: pl.DataFrame) -> dict[str, dict[str, Any]]:
    columns = ("trace_id", "span_id", "parent_id", "name", "kind", "start", "end", "status", "status_message")
    rows = spans.with_columns(pl.col("start", "end").to_physical()).iter_rows(named=True)
    texts = ("attributes", "events", "links")
    found = {}
    for row in rows:
        told = {key: json.loads(row[key]) for key in texts}
        for event in told["events"]:
            event["timestamp"] = event_ns(event["timestamp"])
        found[row["span_id"]] = {key: row[key] for key in columns} | told
    return found


def test_a_backend_passes_on_the_same_spans(tmp_path: Path) -> None:
    spans = rt.read_spans(*SPANS)
    spans = spans.filter(~pl.col("from_events"))
    rt.write_table(spans, tmp_path / "t.parquet")
    with receiver() as (port, bodies), backend(port, tmp_path) as listens:
        for encoding in ("json", "protobuf"):
            bodies.clear()
            url = f"http://127.0.0.1:{listens}"
            command = ["export", str(tmp_path / "t.parquet"), "--to", "otlp", "--endpoint", url, "--encoding", encoding]
            command += ["--no-clock-correct"]
            done = CliRunner().invoke(app, command)
            assert done.exit_code == 0, done.output
            assert f"sent {spans.height} spans" in done.stderr
            wait_until(lambda: sum(map(count, bodies)) >= spans.height)
            (tmp_path / f"{encoding}.jsonl").write_text("\n".join(json.dumps(in_json(body)) for body in bodies))
            again = rt.read_spans(tmp_path / f"{encoding}.jsonl")
            assert comparable(again) == comparable(spans)


def count(body: bytes) -> int:
    request = ExportTraceServiceRequest.FromString(body)
    return sum(len(scope.spans) for one in request.resource_spans for scope in one.scope_spans)


def test_protobuf_is_what_opentelemetrys_own_classes_make(tmp_path: Path) -> None:
    """Values of every type, and edges of their ranges."""
    from raytrace_analyze.exports.otlp import any_value
    from raytrace_analyze.exports.sending.otlp_protobuf import encode_request

    numbers = [True, False, 0, -1, 2**63 - 1, -(2**63), 2**70, 0.0, -1.5, 1e300, float("nan")]
    values = [*numbers, "", "größe", [], {}, [[1], {"a": None}], b"\0\xff"]
    span = {
        **{"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "n", "kind": 4, "startTimeUnixNano": str(2**63 - 1)},
        "attributes": [{"key": str(number), "value": any_value(value)} for number, value in enumerate(values)],
        **{"events": [], "links": [], "status": {"code": 0}},
    }
    request = {
        "resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "s"}, "spans": [span]}]}]
    }
    read = ExportTraceServiceRequest.FromString(encode_request(request))
    assert encode_request(request) == read.SerializeToString()
    (written,) = read.resource_spans[0].scope_spans[0].spans
    kinds = [one.value.WhichOneof("value") for one in written.attributes]
    expected = (
        ["bool"] * 2
        + ["int"] * 4
        + ["string"]
        + ["double"] * 4
        + ["string"] * 2
        + ["array", "kvlist", "array", "bytes"]
    )
    assert kinds == [f"{kind}_value" for kind in expected]
