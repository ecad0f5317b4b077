"""Live export: into a stand-in for a backend that speaks OTLP over HTTP, and into a real one."""

from __future__ import annotations

import gzip
import importlib.util
import re
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .reader import Run, free_port, run_program

pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
pytestmark = pytest.mark.ray


def test_every_span_arrives_at_the_backend_and_in_the_files(tmp_path: Path) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    arrived: set[str] = set()

    class Backend(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    arrived.update(f"0x{span.span_id.hex()}" for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        run = send_to(server.server_port, tmp_path)
    finally:
        server.shutdown()
    assert len(arrived) >= 4
    assert arrived == set(run.recording.by_id)


def send_to(port: int, directory: Path) -> Run:
    run = run_program(
        "ending.py",
        directory,
        "exit",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    )
    assert run.code == 7, run.errors
    return run


def test_every_span_arrives_at_a_real_backend(tmp_path: Path) -> None:
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        pytest.skip("rotel is not installed")
    http, grpc = free_port(), free_port()
    command = [
        str(Path(found.origin).with_name("rotel-agent")),
        "start",
        "--exporter=blackhole",
        "--debug-log=traces",
        "--debug-log-verbosity=detailed",
        f"--otlp-http-endpoint=127.0.0.1:{http}",
        f"--otlp-grpc-endpoint=127.0.0.1:{grpc}",
    ]
    shown = tmp_path / "rotel.txt"
    with shown.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as backend:
        try:
            wait_for(http)
            run = send_to(http, tmp_path / "spans")
        finally:
            backend.terminate()
    arrived = {f"0x{one}" for one in re.findall(r"^ +ID +: ([0-9a-f]{16})$", shown.read_text(), re.MULTILINE)}
    assert len(arrived) >= 4
    assert arrived == set(run.recording.by_id)


def wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")
