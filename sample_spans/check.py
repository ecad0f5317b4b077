"""Checks captures against what was measured: `python sample_spans/check.py [FOLDER...]`; by default all.

It reads the span files on its own, without the package: a second opinion on the data that the tests rely
on.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

Span = dict[str, Any]
Body = dict[str, Any]

MAX_BYTES = 150_000
CLOCK_STEP_NS = 1_000
"""Ray's and the documentation's hook write times cut to microseconds."""
NEUTRAL_PATH = re.compile(r"^/(home/user|tmp/ray|tmp/spans|tmp/spans_file|usr|dev|proc)\b")
PATH = re.compile(r"(?<![\w.:/-])/[A-Za-z][\w.-]*/[\w./-]+")
ADDRESS = re.compile(r"(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w.])")
NEUTRAL_ADDRESSES = {"10.0.0.1", "127.0.0.1", "0.0.0.0"}


def read_spans(directory: Path) -> list[Span]:
    """All spans in the files of a folder: JSON objects with a context, one a line or pretty-printed."""
    return [span for path in sorted(directory.iterdir()) for span in _objects(path) if "context" in span]


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    text = path.read_bytes().decode("utf-8", "replace")
    decoder = json.JSONDecoder()
    position = text.find("{")
    while position >= 0:
        try:
            found, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError:
            return
        if isinstance(found, dict):
            yield found
        position = text.find("{", end)


def nanoseconds(moment: str) -> int:
    """A time of a span file as nanoseconds since 1970; six or nine digits."""
    seconds, _, fraction = moment.rstrip("Z").partition(".")
    whole = int(datetime.fromisoformat(f"{seconds}+00:00").timestamp())
    return whole * 1_000_000_000 + int(fraction.ljust(9, "0"))


def records_waits(spans: Iterable[Span]) -> bool:
    """Whether a hook that records waits wrote these, ours: then a killed attempt is there as well."""
    return any("raytrace.ready_task_ids" in span["attributes"] for span in spans)


def kind(span: Span) -> str:
    """PRODUCER, CONSUMER, INTERNAL, ..."""
    return str(span["kind"]).removeprefix("SpanKind.")


def span_of(body: Body, spans: Iterable[Span]) -> Span | None:
    """The span that was around a body: the same function and process, and the body lies within it.

    Custom spans carry no process id: of them the name and the time decide.
    """
    found = [
        span
        for span in spans
        if _is_of(span, body)
        and nanoseconds(span["start_time"]) <= body["start_ns"]
        and (not span["end_time"] or body["end_ns"] <= nanoseconds(span["end_time"]) + CLOCK_STEP_NS)
    ]
    return max(found, key=lambda span: nanoseconds(span["start_time"]), default=None)


def _is_of(span: Span, body: Body) -> bool:
    if bool(span["end_time"]) != (body["error"] != "killed"):
        return False
    if body["kind"] == "span":
        return bool(span["name"] == body["function"])
    attributes = span["attributes"]
    same_process = attributes.get("ray.pid") == str(body["pid"])
    return bool(kind(span) == "CONSUMER" and attributes["ray.function"] == body["function"] and same_process)


def problems(folder: Path) -> Iterator[str]:
    """Whatever does not fit: between the measured bodies and the spans, in the chain, in size, in names."""
    truth = json.loads((folder / "truth.json").read_text())
    spans = read_spans(folder / "spans")
    if (truth["hook"] == "ours") != records_waits(spans):
        yield "waits are recorded by our hook, and only by ours"
    yield from _wrong_bodies(truth["task_bodies"], spans)
    yield from _wrong_chain(truth["measured_chain"]["bodies"], truth["task_bodies"])
    yield from _not_neutral(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        yield f"{size} bytes is too large"


def _wrong_bodies(bodies: list[Body], spans: list[Span]) -> Iterator[str]:
    for body in bodies:
        name = f"{body['function']} {body['key']}"
        span = span_of(body, spans)
        if (span and span["context"]["span_id"].removeprefix("0x")) != body["span_id"]:
            yield f"{name}: truth.json names another span than the files"
        if span is None:
            if body["error"] != "killed" or records_waits(spans):
                yield f"{name} has no span around it"
        elif span["attributes"].get("ray.task_id", body["task_id"]) != body["task_id"] and body["kind"] == "task":
            yield f"{name}: another task id than measured"
    runs = sum(kind(span) == "CONSUMER" and bool(span["end_time"]) for span in spans)
    measured = sum(body["kind"] == "task" and body["error"] != "killed" for body in bodies)
    if runs != measured:
        yield f"{runs} CONSUMER spans, {measured} measured bodies that ended"


def _wrong_chain(chain: list[Body], bodies: list[Body]) -> Iterator[str]:
    for body in chain:
        if body not in bodies:
            yield f"{body['key']} is on the chain, but was not measured"
    starts = [body["start_ns"] for body in chain]
    if starts != sorted(starts):
        yield "the chain is not in the order of time"


def _not_neutral(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        named = {*PATH.findall(text), *ADDRESS.findall(text)}
        for odd in sorted(n for n in named if not NEUTRAL_PATH.match(n) and n not in NEUTRAL_ADDRESSES):
            yield f"{path.name} names {odd}"


def main(arguments: list[str]) -> int:
    """Checks the folders and tells what does not fit."""
    here = Path(__file__).parent
    folders = [Path(argument) for argument in arguments] or sorted(p.parent for p in here.glob("*/truth.json"))
    wrong = [f"{folder.name}: {problem}" for folder in folders for problem in problems(folder)]
    print("\n".join(wrong) or f"{len(folders)} captures, all as measured")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
