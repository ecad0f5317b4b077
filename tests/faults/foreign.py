"""Makes files as others write them, damaged or with odd values: OTLP, Jaeger, Chrome's JSON, Ray's events, logs."""

import base64
import gzip
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import zstandard

import raytrace_analyze as rt
from tests.faults.values import HOSTILE, SAMPLES, mutated, place_value

_EVENTS = SAMPLES / "events"
_MOST_SPANS = 60
_KEYS = ("name", "spans", "data", "traceID", "resourceSpans", "event_data", "eventType", "args", "taskId")
_ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig", "latin-1")


def foreign_files(chance: random.Random, folder: Path) -> None:
    """One to three files of one source or several, each laid out, damaged, encoded and packed by chance."""
    for number in range(chance.choice([1, 1, 2, 3])):
        documents = chance.choice(_SOURCES)(chance)
        for _ in range(chance.choice([0, 0, 1, 3, 30])):
            change = chance.choice([place_value, _renamed, _doubled])
            change(chance, chance.choice(documents))
        content = chance.choice(_LAYOUTS)(chance, documents).encode("utf-8", "surrogatepass")
        _put(chance, folder, f"{number}-{chance.choice(['a.json', 'b.jsonl', 'event_EXPORT_TASK_1.log'])}", content)


def _put(chance: random.Random, folder: Path, name: str, content: bytes) -> None:
    """Write a file, its bytes changed, in another encoding, packed, or none of these."""
    for _ in range(chance.choice([0, 0, 0, 1, 5])):
        content = mutated(chance, content)
    if chance.random() < 0.2:
        content = content.decode("utf-8", "replace").encode(chance.choice(_ENCODINGS), "replace")
    if chance.random() < 0.3:
        content = chance.choice(_PACKERS)(name, content)
        if chance.random() < 0.3:
            content = mutated(chance, content)
    target = folder / chance.choice(["", "session_2026-01-01_00-00-00_1_1/job_events/01000000", "logs"]) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


@cache
def _capture(name: str) -> pl.DataFrame:
    return rt.read_spans(SAMPLES / name / "spans")


def _spans(chance: random.Random) -> pl.DataFrame:
    spans = _capture(chance.choice(sorted(path.parent.name for path in SAMPLES.glob("*/spans"))))
    return spans.sample(min(chance.randint(1, _MOST_SPANS), spans.height), seed=chance.randrange(99))


def _exported(to: str) -> Callable[[random.Random], list[Any]]:
    """What our own export to a format writes, as documents."""

    def documents(chance: random.Random) -> list[Any]:
        stream = io.BytesIO()
        rt.export(_spans(chance), to, stream)
        text = stream.getvalue().decode()
        return [json.loads(line) for line in text.splitlines()] if to == "otlp" else [json.loads(text)]

    return documents


def _otlp_of_others(chance: random.Random) -> list[Any]:
    """OTLP with the names of the schema, ids in base64, numbers as numbers, wrapped as services answer."""
    (first, *others) = _exported("otlp")(chance)
    base64_ids, snake, plain = (chance.random() < 0.5 for _ in range(3))

    def changed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {_snake(name) if snake else name: changed(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [changed(each) for each in value]
        if base64_ids and key.endswith("Id") and isinstance(value, str):
            return base64.b64encode(bytes.fromhex(value)).decode()
        return int(value) if plain and key.endswith("Nano") else value

    request = changed(first)
    wrapped = [
        request,
        {"result": request},
        {"trace": request},
        {"batches": next(iter(request.values()), None)},
        [request, *others],
    ]
    return [chance.choice(wrapped), *others]


def _jaeger_of_others(chance: random.Random) -> list[Any]:
    """A trace alone, spans as they are stored, ids without their zeros."""
    (document,) = _exported("jaeger")(chance)
    traces = document["data"]
    stored = [
        {**span, "traceID": span["traceID"].lstrip("0"), "process": trace["processes"].get(span["processID"])}
        for trace in traces
        for span in trace["spans"]
    ]
    return [chance.choice([traces[0], traces, stored]), *chance.choice([[], stored])]


def _timeline(chance: random.Random) -> list[Any]:
    events = json.loads((_EVENTS / "map_reduce" / "timeline" / "timeline.json").read_text())
    some = chance.sample(events, min(len(events), _MOST_SPANS))
    return [chance.choice([some, {"displayTimeUnit": "ms", "traceEvents": some}])]


def _ray_events(chance: random.Random) -> list[Any]:
    """Events of the export log, or of the History Server's collector; in any order, or a list of them."""
    files = [file for file in sorted(_EVENTS.rglob("*")) if file.is_file() and "_events" in str(file.parent)]
    content = chance.choice(files).read_bytes()
    lines = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).splitlines()
    events = [json.loads(line) for line in chance.sample(lines, min(len(lines), chance.choice([1, 10, _MOST_SPANS])))]
    if chance.random() < 0.3:
        events = [_in_snake_case(event) for event in events]
    return [events] if chance.random() < 0.3 else events


def _console(chance: random.Random) -> list[Any]:
    spans = chance.choice(sorted(SAMPLES.glob("*-stock/spans")))
    text = chance.choice([file for file in spans.iterdir() if file.stat().st_size]).read_text()
    records: list[Any] = []
    decoder, place = json.JSONDecoder(), 0
    while place < len(text.rstrip()) and len(records) < _MOST_SPANS:
        record, place = decoder.raw_decode(text, place + len(text[place:]) - len(text[place:].lstrip()))
        records.append(record)
    return records


_SOURCES = (
    *(_exported("otlp"), _exported("jaeger"), _exported("perfetto"), _exported("speedscope")),
    *(_otlp_of_others, _jaeger_of_others, _timeline, _timeline, _ray_events, _ray_events, _console, _console),
)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _in_snake_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {_snake(name): _in_snake_case(each) for name, each in value.items()}
    return [_in_snake_case(each) for each in value] if isinstance(value, list) else value


def _inner(chance: random.Random, value: Any) -> Any:
    """Some object or list inside."""
    while isinstance(value, dict | list) and value and chance.random() < 0.8:
        inner = chance.choice(list(value.values()) if isinstance(value, dict) else value)
        if not isinstance(inner, dict | list):
            break
        value = inner
    return value


def _renamed(chance: random.Random, document: Any) -> None:
    """A member under another name, or gone."""
    place = _inner(chance, document)
    if isinstance(place, dict) and place:
        value = place.pop(chance.choice(list(place)))
        if chance.random() < 0.5:
            place[chance.choice([*_KEYS, "\u202e", "", *(str(each) for each in HOSTILE[:3])])] = value


def _doubled(chance: random.Random, document: Any) -> None:
    """Something of a list twice, or many times."""
    place = _inner(chance, document)
    if isinstance(place, list) and place:
        one = chance.choice(place)
        # Copies, and many only of what is small: else many of many grow without bound.
        place.extend(deepcopy(one) for _ in range(chance.choice([1, 1, 2000]) if len(_json(one)) < 500 else 1))


def _lines(_: random.Random, documents: list[Any]) -> str:
    return "".join(_json(document) + "\n" for document in documents)


def _pretty(chance: random.Random, documents: list[Any]) -> str:
    return "\n".join(_json(document, indent=chance.choice([0, 1, 4])) for document in documents)


def _glued(chance: random.Random, documents: list[Any]) -> str:
    return chance.choice(["", " ", ",", "\r\n", "\r"]).join(map(_json, documents))


def _one_list(_: random.Random, documents: list[Any]) -> str:
    return _json(documents)


def _sorted(_: random.Random, documents: list[Any]) -> str:
    return "\n".join(json.dumps(document, sort_keys=True, default=str) for document in documents)


def _logged(chance: random.Random, documents: list[Any]) -> str:
    """Printed to a log, among other lines, behind what Ray, Docker or Kubernetes puts before each line."""
    text = "".join(_json(document, indent=chance.choice([None, 4])) + "\n" for document in documents)
    put = chance.choice(_PREFIXES)
    lines = []
    for line in text.splitlines():
        cut = chance.randrange(1, 400) if chance.random() < 0.1 else len(line) or 1
        pieces = [line[start : start + cut] for start in range(0, len(line), cut)][:2000]
        lines += [put(piece, number < len(pieces) - 1, chance) for number, piece in enumerate(pieces)]
        if chance.random() < 0.05:
            lines.append(chance.choice(["hello {", "}", ":job_id:01000000", '{"log":', "(f pid=1) ", "\x1b[36m("]))
    return "\n".join(lines) + "\n"


def _docker(line: str, is_part: bool, chance: random.Random) -> str:
    stream = chance.choice(["stdout", "stdout", "stderr"])
    return json.dumps({"log": line + ("" if is_part else "\n"), "stream": stream, "time": "2026-01-09T14:21:04Z"})


def _cri(line: str, is_part: bool, chance: random.Random) -> str:
    stream = chance.choice(["stdout", "stdout", "stderr"])
    return f"2026-01-09T14:21:04.800962Z {stream} {'P' if is_part else 'F'} {line}"


def _ray(line: str, is_part: bool, chance: random.Random) -> str:
    return chance.choice(["(f pid=7) ", "(f pid=8, ip=10.0.0.1) ", "\x1b[36m(f pid=7)\x1b[0m "]) + line


_PREFIXES: tuple[Callable[[str, bool, random.Random], str], ...] = (
    *(_docker, _cri, _ray),
    lambda line, part, chance: _cri(_ray(line, part, chance), part, chance),
    lambda line, part, chance: _docker(_ray(line, part, chance), part, chance),
    lambda line, part, chance: f"INFO {line}",
)
_LAYOUTS: tuple[Callable[[random.Random, list[Any]], str], ...] = (
    *(_lines, _lines, _pretty, _glued, _one_list, _sorted),
    *(_logged, _logged),
)


def _json(document: Any, indent: int | None = None) -> str:
    return json.dumps(document, indent=indent, default=str)


def _zip(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"folder/{name}", content)
        archive.writestr("../../outside.json", content[: len(content) // 2])
    return stream.getvalue()


def _tar(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        about = tarfile.TarInfo(f"folder/{name}")
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return stream.getvalue()


_PACKERS: tuple[Callable[[str, bytes], bytes], ...] = (
    *(_zip, _tar),
    lambda _, content: gzip.compress(content, mtime=0),
    lambda _, content: zstandard.ZstdCompressor().compress(content),
    lambda name, content: gzip.compress(_tar(name, content), mtime=0),
    lambda name, content: gzip.compress(_zip(name, content), mtime=0),
    lambda name, content: _zip(f"{name}.gz", gzip.compress(content, mtime=0)),
)
