"""Makes the captures of Ray's own events anew: one real program that no hook traced, told by every source at once.

    python sample_events/capture.py                # the program map_reduce of sample_spans
    python sample_events/capture.py --to /tmp/elsewhere

Needs Ray (`ray[default]`). A receiver on the loopback takes what Ray's event aggregator posts, and files it as the
History Server's collector does. On a machine that is too busy for Ray to start, it tries again.
"""

import argparse
import gzip
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE.parent / "sample_spans" / "programs"
ATTEMPTS = 6
TIMEOUT_S = 180
LINGER_S = 4
"""How long the program stays, so that all events of its tasks have been sent."""


@contextmanager
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Takes the posts of Ray's event aggregator; gives where to, and the events as they come."""
    events: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/events", events
    server.shutdown()


def run(program: str, place: Path, address: str) -> None:
    """Runs the program in a cluster of its own with all of Ray's event exports on."""
    for folder in ("app", "truth"):
        (place / folder).mkdir()
    for source in PROGRAMS.glob("*.py"):
        shutil.copy(source, place / "app")
    environment = os.environ | {
        "PYTHONPATH": str(place / "app"),
        "CAPTURE_HOOK": "",
        "CAPTURE_RAY_DIR": str(place / "ray"),
        "CAPTURE_LINGER": str(LINGER_S),
        "CAPTURE_TIMELINE": str(place / "timeline.json"),
        "TRUTH_DIR": str(place / "truth"),
        "RAY_enable_export_api_write": "1",
        "RAY_enable_core_worker_ray_event_to_aggregator": "1",
        "RAY_enable_ray_event": "1",
        "RAY_DASHBOARD_AGGREGATOR_AGENT_EVENTS_EXPORT_ADDR": address,
    }
    command = [sys.executable, f"{program}.py"]
    done = subprocess.run(
        command, cwd=place / "app", env=environment, timeout=TIMEOUT_S, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])


def save(place: Path, events: list[dict[str, Any]], target: Path) -> None:
    """Files what the sources told, with neutral names."""
    (session,) = {path.name for path in (place / "ray").glob("session_2*") if not path.is_symlink()}
    logs = place / "ray" / session / "logs" / "export_events"
    words = {
        str(place): "/tmp/capture",
        sys.prefix: "/home/user/venv",
        socket.gethostname(): "host-a",
        _address(): "10.0.0.1",
    }
    shutil.rmtree(target, ignore_errors=True)
    for log in sorted(logs.glob("event_EXPORT_*.log")):
        if re.search("TASK|DRIVER_JOB|ACTOR|NODE", log.name) and log.stat().st_size:
            _write(target / "export" / session / "logs" / "export_events" / log.name, log.read_bytes(), words)
    filed: dict[str, list[str]] = {}
    for event in events:
        filed.setdefault(_category(event), []).append(json.dumps(event, sort_keys=True) + "\n")
    node = next(event["nodeId"] for event in events if event.get("nodeId"))
    for category, lines in filed.items():
        name = f"{_hex(node)}_2026-11-26-02"
        half = len(lines) // 2
        folder = target / "history" / session / category
        _write(folder / f"{name}-00.jsonl", "".join(lines[:half]).encode(), words)
        _write(folder / f"{name}-05.jsonl.gz", "".join(lines[half:]).encode(), words)
    _write(target / "timeline" / "timeline.json", (place / "timeline.json").read_bytes(), words)
    sys.path.insert(0, str(PROGRAMS))
    import truth  # type: ignore[import-not-found]  # beside the programs

    bodies, marks = truth.read(place / "truth")
    found = {"task_bodies": bodies, "driver_and_get_marks": [{**mark, "node_ip": None} for mark in marks]}
    _write(target / "truth.json", (json.dumps(found, indent=1) + "\n").encode(), words)


def _category(event: dict[str, Any]) -> str:
    """As the collector sorts events: those of nodes, and those of each job."""
    for value in event.values():
        if isinstance(value, dict) and value.get("jobId"):
            return f"job_events/{_hex(value['jobId'])}"
    return "node_events"


def _hex(text: str) -> str:
    import base64

    return base64.b64decode(text).hex()


def _address() -> str:
    from ray.util import get_node_ip_address

    return str(get_node_ip_address())


def _write(path: Path, content: bytes, words: dict[str, str]) -> None:
    for word, neutral in words.items():
        content = content.replace(word.encode(), neutral.encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def main() -> None:
    """Makes the captures."""
    parser = argparse.ArgumentParser(description="Make the captures of Ray's own events anew.")
    parser.add_argument("--program", default="map_reduce")
    parser.add_argument("--to", metavar="DIR", type=Path, default=HERE)
    arguments = parser.parse_args()
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="cap-", dir="/tmp", ignore_cleanup_errors=True) as root:
            with receiver() as (address, events):
                try:
                    run(arguments.program, Path(root), address)
                except RuntimeError as error:
                    print(f"attempt {attempt}: {error}", file=sys.stderr)
                    continue
            save(Path(root), events, arguments.to / arguments.program)
            return
    sys.exit("Ray did not start")


if __name__ == "__main__":
    main()
