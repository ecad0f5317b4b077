"""Console spans inside logs: a worker's output, behind the prefixes of Ray, Docker and Kubernetes (CRI)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from raytrace_analyze.decode.framed.documents import depth_change
from raytrace_analyze.decode.framed.lines import read_lines
from raytrace_analyze.decode.input_format import InputFormat
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.batch import Batch
from raytrace_analyze.decode.records.record import NOT_AS_TYPED, Record
from raytrace_analyze.decode.records.stretch import read_stretch
from raytrace_analyze.files.opened import readable
from raytrace_analyze.files.streams import BrokenStream
from raytrace_analyze.model import Head, InputFile, ProblemKind

_RAY = re.compile(rb"(?:\x1b\[\d+m)?\(([^()\n]{0,300}?pid=\d+[^()\n]{0,100})\)(?:\x1b\[\d+m)? ?")
_CRI = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP]) ?")
_RECORD = re.compile(rb'\{\s*"name"\s*:.{1,4096}?"context"\s*:\s*\{\s*"trace_id"\s*:', re.DOTALL)
_GLUED = re.compile(rb'\{\s*"name"\s*:')
_IDS = (b'"trace_id"', b'"span_id"')

_MAX_RECORD_BYTES = 16 << 20
_MAX_PARTS = 1024
"""How many parts of a line are joined; container runtimes cut at 16 KiB."""
_BATCH = 4096


class _DockerLine(msgspec.Struct):
    log: str
    stream: str = ""


_decode_docker = msgspec.json.Decoder(_DockerLine).decode


@dataclass
class _Source:
    """What one process printed: the record that is being printed, if there is one."""

    lines: list[bytes] = field(default_factory=list)
    offset: int = 0
    depth: int = 0
    size: int = 0

    def reset(self) -> None:
        self.lines, self.size, self.depth = [], 0, 0

    def is_span(self) -> bool:
        text = b"\n".join(self.lines)
        return all(key in text for key in _IDS)


class _Log:
    """Takes the lines of a log and gives the records in them, each with its offset."""

    def __init__(self, problems: ProblemList) -> None:
        self._problems = problems
        self._sources: dict[bytes, _Source] = {}
        self._partial: dict[bytes, list[bytes]] = {}
        """What a container's runtime has cut a long line into, so far; by stream."""

    def take(self, offset: int, line: bytes) -> Iterator[tuple[int, bytes]]:
        """Give the record that ends with this line, if one does."""
        text = self._without_container(line)
        if text is not None:
            yield from self._take_printed(offset, text)

    def finish(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Give the record that ends with the log, where its last line has no line break, and note those without end."""
        for parts in self._partial.values():
            yield from self._take_printed(offset, b"".join(parts))
        for source in self._sources.values():
            if source.is_span():
                self._problems.add(ProblemKind.CUT_RECORD, source.offset, "the last record has no end")

    def _take_printed(self, offset: int, text: bytes) -> Iterator[tuple[int, bytes]]:
        prefix = _RAY.match(text)
        source = self._sources.setdefault(prefix[1] if prefix else b"", _Source())
        text = (text[prefix.end() :] if prefix else text).rstrip(b"\r\n")
        if text[:1] == b"{" and source.lines:
            self._give_up(source)
        if not source.lines:
            start = _start_in(text)
            if start is None:
                return
            text = text[start:]
            source.offset = offset
        source.lines.append(text)
        source.size += len(text)
        source.depth += depth_change(text)
        if source.depth <= 0:
            if source.is_span():
                yield source.offset, b"\n".join(source.lines)
            source.reset()
        elif source.size > _MAX_RECORD_BYTES:
            self._give_up(source)

    def _give_up(self, source: _Source) -> None:
        if source.is_span():
            self._problems.damage(source.offset, source.size, "a record without an end")
        source.reset()

    def _without_container(self, line: bytes) -> bytes | None:
        """Take off what Docker or Kubernetes put around a line; None while only a part of it is there."""
        if line.startswith(b'{"log":'):
            try:
                docker = _decode_docker(line)
            except NOT_AS_TYPED:
                return line
            stream, text = docker.stream.encode(), docker.log.encode("utf-8", "replace")
            is_part = not text.endswith(b"\n")
        elif match := _CRI.match(line):
            stream, text, is_part = match[1], line[match.end() :].rstrip(b"\r\n"), match[2] == b"P"
        else:
            return line
        parts = self._partial.setdefault(stream, [])
        parts.append(text)
        if is_part and len(parts) < _MAX_PARTS:
            return None
        return b"".join(self._partial.pop(stream))


def _start_in(text: bytes) -> int | None:
    """Tell where in a line a record may start; None: nowhere."""
    if text.lstrip()[:1] == b"{":
        return 0
    match = _GLUED.search(text)
    return match.start() if match else None


def read_console_log(file: InputFile, problems: ProblemList) -> Iterator[Batch]:
    """Give the spans among the lines of a log; lines that belong to no span are no damage."""
    source = readable(file.path)
    log = _Log(problems)
    found: list[tuple[int, bytes]] = []
    offset = 0
    try:
        for offset, line in read_lines(file):
            found += log.take(offset, line)
            if len(found) >= _BATCH:
                yield _batch(found, source, problems)
                found = []
        found += log.finish(offset)
    except BrokenStream as error:
        problems.add(error.kind, None, error.detail)
    if found:
        yield _batch(found, source, problems)


def _batch(found: list[tuple[int, bytes]], source: str, problems: ProblemList) -> Batch:
    stretch = read_stretch(b"\n".join(text for _, text in found))
    if len(stretch.records) == len(found) and not stretch.damage:
        return Batch(stretch.records, source, problems, [offset for offset, _ in found].__getitem__)
    records: list[Record] = []
    offsets: list[int] = []
    for offset, text in found:
        own = read_stretch(text).records
        records += own
        offsets += [offset] * len(own)
        if not own:
            problems.damage(offset, len(text), "a span record that something was printed into")
    return Batch(records, source, problems, offsets.__getitem__)


def _is_console_log(head: Head) -> bool:
    content = head.content
    if b"trace_id" not in content or b"span_id" not in content:
        return False
    log = _Log(ProblemList(head.path))
    for line in content.split(b"\n"):
        if any(_RECORD.match(text.lstrip()) for _, text in log.take(0, line + b"\n")):
            return True
    return False


FORMAT = InputFormat("log with console spans", _is_console_log, read=read_console_log)
"""What a ConsoleSpanExporter printed among other output."""
