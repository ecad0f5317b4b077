"""Reads the hook's files in the tests, on its own: neither the hook nor the analyser has a part in it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs"


@dataclass
class Span:
    """One span, ended or open."""

    name: str
    kind: str
    span_id: str
    trace_id: str
    parent_id: str | None
    start: str
    end: str | None
    status: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    file: Path
    record: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, record: dict[str, Any], resource: dict[str, Any], file: Path) -> Span:
        context = record["context"]
        return cls(
            name=record["name"],
            kind=record["kind"].removeprefix("SpanKind."),
            span_id=context["span_id"],
            trace_id=context["trace_id"],
            parent_id=record["parent_id"],
            start=record["start_time"],
            end=record["end_time"],
            status=record["status"]["status_code"],
            attributes=record["attributes"],
            resource=resource,
            file=file,
            record=record,
        )


class Recording:
    """All that the processes of one run wrote."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.spans: list[Span] = []
        self.open: list[Span] = []
        self.events: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        for file in sorted(directory.iterdir()):
            text = file.read_text("ascii")
            lines = text.splitlines()
            if text and not text.endswith("\n"):
                # A kill can fall into the middle of a write where it crosses a page: that span is open still.
                assert file.suffix == ".jsonl"
                lines.pop()
            if file.suffix == ".jsonl":
                records = map(json.loads, lines)
                self.spans += [Span.of(record, record["resource"]["attributes"], file) for record in records]
            elif file.suffix == ".open":
                self._read_open(file, lines)
            elif file.suffix == ".events":
                header, *attempts = map(json.loads, lines)
                self.events.append((header, attempts))
            else:
                raise AssertionError(f"unexpected file {file.name}")
        self.by_id = {span.span_id: span for span in self.spans}

    def _read_open(self, file: Path, lines: list[str]) -> None:
        if not lines:
            return  # a full disk had no room for the header
        header = json.loads(lines[0])
        assert header["raytrace"] == "open"
        assert all(len(line) + 1 == header["slot_bytes"] for line in lines[1:])
        resource = header["resource"]["attributes"]
        self.open += [Span.of(json.loads(line), resource, file) for line in lines[1:] if line.startswith("{")]

    def named(self, name: str) -> list[Span]:
        """Return the spans of this name, by start."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: span.start)

    def one(self, name: str) -> Span:
        """Return the only span of this name."""
        found = self.named(name)
        assert len(found) == 1, [span.name for span in self.spans if name in span.name or not found]
        return found[0]

    def children(self, parent: Span, name: str | None = None) -> list[Span]:
        """Return a span's children (of this name), by start."""
        found = [span for span in self.spans if span.parent_id == parent.span_id]
        return sorted((span for span in found if name in (None, span.name)), key=lambda span: span.start)

    def runs(self, function: str) -> list[Span]:
        """Return the runs of a function or method, by start."""
        return self.named(f"{function} ray.remote_worker")

    def submits(self, function: str) -> list[Span]:
        """Return the submissions of a function or method, by start."""
        return self.named(f"{function} ray.remote")

    def driver(self) -> Span:
        """Return the driver's span."""
        return self.one("ray.driver")


@dataclass
class Run:
    """A program that ran with the hook."""

    code: int
    output: str
    errors: str
    directory: Path
    _recording: Recording | None = None

    @property
    def recording(self) -> Recording:
        """What it left, read at the first use."""
        if self._recording is None:
            self._recording = Recording(self.directory)
        return self._recording


PATIENCE = {
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
}
"""On a busy machine Ray's own processes take longer to start than Ray waits for them."""


NOT_STARTED = "The current node timed out during startup"
"""What Ray says then: its raylet ends itself where the agent beside it takes over 30 s; no setting changes that."""


def environment(directory: Path, **settings: str) -> dict[str, str]:
    """Return an environment for a program whose spans go to this directory."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("RAYTRACE_", "OTEL_", "RAY_"))}
    return {**clean, "RAYTRACE_DIR": str(directory), "RAY_AUTH_MODE": "disabled", **PATIENCE, **settings}


def run_program(name: str, directory: Path, *arguments: str, timeout: float = 480, **settings: str) -> Run:
    """Run one of the programs to its end; again where it is Ray itself that did not start."""
    for _ in range(3):
        before = set(directory.iterdir()) if directory.exists() else set()
        done = subprocess.run(
            [sys.executable, str(PROGRAMS / name), *arguments],
            env=environment(directory, **settings),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if not (done.returncode and NOT_STARTED in done.stderr):
            break
        for file in set(directory.iterdir() if directory.exists() else ()) - before:
            file.unlink()
    return Run(done.returncode, done.stdout, done.stderr, directory)


UNASKED_PORTS = range(20_000, 32_000)
"""Of these Ray takes none for its workers, and the system none for whoever does not care which: until whoever is to
listen there has started, on a busy machine a minute later, many of those are taken."""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    while True:
        port = secrets.choice(UNASKED_PORTS)
        with socket.socket() as server, contextlib.suppress(OSError):
            server.bind(("127.0.0.1", port))
            return port
