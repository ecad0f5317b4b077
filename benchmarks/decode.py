"""How much CPU decoding takes per span, and how much less than the obvious way, in one run.

    python benchmarks/decode.py [NUMBER_OF_SPANS]

The obvious way: `json.loads` of every line, and a DataFrame of the same columns from lists of values.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from raytrace_analyze.decode import decode_file, span_json
from raytrace_analyze.model import Compression, InputFile
from raytrace_analyze.schema import DECODED

PASSES = 5


def spans(count: int) -> Iterator[dict[str, Any]]:
    """Spans of one worker as Ray's own hook records them, about 980 bytes each."""
    source = random.Random(1)
    now_us = 1_795_424_139_000_000

    def hex_id(digits: int) -> str:
        return f"{source.getrandbits(4 * digits):0{digits}x}"

    def time_text(us: int) -> str:
        return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    node_id, worker_id = hex_id(56), hex_id(56)
    resource = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.2",
        "service.instance.id": "e3e55f83-9311-4f6c-b505-930d8a1f8ce1",
        "service.name": "unknown_service:python",
    }
    for _ in range(count):
        now_us += source.randrange(2000)
        yield {
            "name": "__main__.map_part ray.remote_worker",
            "context": {"trace_id": "0x" + hex_id(32), "span_id": "0x" + hex_id(16), "trace_state": "[]"},
            "kind": "SpanKind.CONSUMER",
            "parent_id": "0x" + hex_id(16),
            "start_time": time_text(now_us),
            "end_time": time_text(now_us + source.randrange(10**6)),
            "status": {"status_code": "UNSET"},
            "attributes": {
                "ray.remote": "function",
                "ray.function": "__main__.map_part",
                "ray.pid": "6473",
                "ray.job_id": "01000000",
                "ray.node_id": node_id,
                "ray.task_id": hex_id(16) + "f" * 24 + "01000000",
                "ray.worker_id": worker_id,
            },
            "events": [],
            "links": [],
            "resource": {"attributes": resource, "schema_url": ""},
        }


def obvious(path: Path) -> pl.DataFrame:
    """The same frame, for these spans, as one would first write it."""
    rows: list[dict[str, Any]] = []
    with path.open() as file:
        for line in file:
            span = json.loads(line)
            attributes, resource = span["attributes"], span["resource"]["attributes"]
            parent_id = span["parent_id"]
            rows.append(
                dict.fromkeys(DECODED)
                | {
                    "trace_id": span["context"]["trace_id"].removeprefix("0x"),
                    "span_id": span["context"]["span_id"].removeprefix("0x"),
                    "parent_id": parent_id and parent_id.removeprefix("0x"),
                    "name": span["name"],
                    "kind": span["kind"].removeprefix("SpanKind."),
                    "start": datetime.fromisoformat(span["start_time"]),
                    "end": datetime.fromisoformat(span["end_time"]) if span["end_time"] else None,
                    "status": span["status"]["status_code"],
                    "status_message": span["status"].get("description"),
                    "job_id": attributes.get("ray.job_id"),
                    "function": attributes.get("ray.function"),
                    "task_id": attributes.get("ray.task_id"),
                    "actor_id": attributes.get("ray.actor_id"),
                    "node_id": attributes.get("ray.node_id"),
                    "worker_id": attributes.get("ray.worker_id"),
                    "pid": int(attributes["ray.pid"]),
                    "attributes": json.dumps(attributes),
                    "events": json.dumps(span["events"]),
                    "links": json.dumps(span["links"]),
                    "resource": json.dumps(span["resource"]),
                    "source": str(path),
                    "instance_id": resource.get("service.instance.id"),
                }
            )
    return pl.DataFrame(rows, schema=DECODED)


def cpu_us_per_span(decode: Callable[[], Any], count: int, passes: int) -> float:
    """The least of some passes: what others do on the machine only adds."""
    times: list[float] = []
    for _ in range(passes):
        start = time.process_time()
        decode()
        times.append(time.process_time() - start)
    return min(times) / count * 1e6


def ours(path: Path) -> pl.DataFrame:
    file = InputFile(path, span_json.FORMAT.name, Compression.NONE, path.stat().st_size)
    return pl.concat([part.frame for part in decode_file(file)])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        one_line, pretty = Path(folder, "one_line"), Path(folder, "pretty")
        with one_line.open("w") as flat, pretty.open("w") as indented:
            for span in spans(count):
                flat.write(json.dumps(span) + "\n")
                indented.write(json.dumps(span, indent=4) + "\n")
        assert ours(one_line).equals(obvious(one_line)), "the two ways differ"
        assert ours(pretty).drop("source").equals(ours(one_line).drop("source")), "the two forms differ"
        slow = cpu_us_per_span(lambda: obvious(one_line), count, 2)
        print(f"{count:,} spans, {one_line.stat().st_size / 1e6:.0f} MB one a line; CPU per span:")
        for path in (one_line, pretty):
            fast = cpu_us_per_span(lambda path=path: ours(path), count, PASSES)  # type: ignore[misc]  # bound now
            print(f"  {path.name:10} {fast:6.2f} us   {slow / fast:5.1f} times less than json.loads ({slow:.1f} us)")


if __name__ == "__main__":
    main()
