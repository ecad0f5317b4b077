"""Span JSON: records as ConsoleSpanExporter writes them, one a line or pretty-printed, in any mix."""

import re
from collections.abc import Iterator

from raytrace_analyze.decode.input_format import InputFormat, Parts
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.recognised.span_text import is_span_json
from raytrace_analyze.decode.records.batch import Batch, decode_batches
from raytrace_analyze.decode.records.framing import last_record_start
from raytrace_analyze.decode.records.layout import Layout
from raytrace_analyze.decode.records.stretch import Stretch, read_stretch, read_with_offsets
from raytrace_analyze.files.opened import readable
from raytrace_analyze.files.streams import BLOCK_BYTES, BrokenStream, read_blocks
from raytrace_analyze.model import Decoded, InputFile, ProblemKind

MAX_RECORD_BYTES = 64 << 20
"""A record that does not end within this is taken for damage: memory stays bounded."""

_RECORD_START = re.compile(rb'\n\{\s*"name"\s*:\s*"[^"]*"\s*,\s*"context"')
"""A line that starts a record for certain; a file that has none within a part is not parted there."""

_TRIES = 3
"""So many stretches of a file may have nothing that is laid out alike before it is not looked for any more."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def decode_span_json(
    file: InputFile, start: int = 0, stop: int | None = None, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[Decoded]:
    """Give the spans of the file, some megabytes at a time, and what was wrong with it; see `read_span_json`."""
    problems = ProblemList(file.path)
    return decode_batches(read_span_json(file, problems, start, stop, block_bytes), problems)


def read_span_json(
    file: InputFile,
    problems: ProblemList,
    start: int = 0,
    stop: int | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Batch]:
    """Give the records of the file, and note what is wrong with it.

    `start` and `stop` are byte offsets where a record starts, to read a part of a file that is not packed.
    Every whole record is read, also one that is glued to half a record. Problems name the byte offset in
    the unpacked file: a last record without its end is CUT_RECORD; what lies between two records and is no
    span is DAMAGED_RECORD. Never raises for bad content.
    """
    return _Reader(file, problems, start, stop, block_bytes).read()


class _Reader:
    """Reads one file (or a part of it) once."""

    def __init__(self, file: InputFile, problems: ProblemList, start: int, stop: int | None, block_bytes: int) -> None:
        self._blocks = read_blocks(file, start, stop, block_bytes)
        self._source = readable(file.path)
        self._is_last_part = stop is None
        self._problems = problems
        self._block_bytes = block_bytes
        self._layouts: list[Layout] | None = []
        """How records of the file are laid out that were read already; None: hardly any is like another."""
        self._tries = _TRIES
        self._data = b""
        """What was read and not decoded yet; starts where a record does."""
        self._position = start
        """Byte offset of `_data` in the unpacked file."""

    def read(self) -> Iterator[Batch]:
        broken: BrokenStream | None = None
        try:
            for block in self._blocks:
                self._append(block)
                if len(self._data) < self._block_bytes:  # a small file, most likely: one batch is enough
                    continue
                end = last_record_start(self._data)
                if end or len(self._data) >= MAX_RECORD_BYTES:
                    yield self._take(end or len(self._data))
        except BrokenStream as error:
            broken = error
        yield self._take_last(broken)

    def _append(self, block: bytes) -> None:
        self._data = self._data + block if self._data else block
        if self._position == 0 and self._data.startswith(_BYTE_ORDER_MARK):
            self._drop(len(_BYTE_ORDER_MARK))

    def _drop(self, length: int) -> None:
        self._data = self._data[length:]
        self._position += length

    def _take(self, end: int) -> Batch:
        """Take what is up to `end`, but leave there a record that may go on after it."""
        data = self._data[:end]
        stretch = read_stretch(data, self._layouts)
        self._tries -= stretch.raw is None
        if not self._tries:
            self._layouts = None
        batch = self._batch(stretch, data)
        if stretch.unfinished is not None and end - stretch.unfinished < MAX_RECORD_BYTES:
            end = stretch.unfinished
        elif stretch.unfinished is not None:
            offset = self._position + stretch.unfinished
            self._problems.damage(offset, end - stretch.unfinished, "a record without an end")
        self._drop(end)
        return batch

    def _take_last(self, broken: BrokenStream | None) -> Batch:
        """Take all that is left, and say what is wrong with the end of the file, once."""
        stretch = read_stretch(self._data, self._layouts)
        batch = self._batch(stretch, self._data)
        size = len(self._data)
        offset = self._position + (size if stretch.unfinished is None else stretch.unfinished)
        if broken is not None:
            self._problems.add(broken.kind, offset, broken.detail)
        elif stretch.unfinished is not None and self._is_last_part:
            self._problems.add(ProblemKind.CUT_RECORD, offset, "the last record has no end")
        elif stretch.unfinished is not None:
            self._problems.damage(offset, size - stretch.unfinished, "half a record")
        return batch

    def _batch(self, stretch: Stretch, data: bytes) -> Batch:
        position = self._position

        def offset_of(index: int) -> int:
            if not stretch.offsets:
                stretch.offsets = read_with_offsets(data).offsets
            return position + stretch.offsets[index]

        for item in stretch.damage:
            self._problems.damage(position + item.offset, item.length, item.reason)
        return Batch(stretch.records, self._source, self._problems, offset_of, stretch.raw)


def _find_start(data: bytes) -> int | None:
    match = _RECORD_START.search(data)
    return match.start() + 1 if match else None


FORMAT = InputFormat(
    "span JSON",
    is_span_json,
    read=read_span_json,
    parts=Parts(find_start=_find_start, read=read_span_json),
    reads_columns=True,
)
"""Records in the field names of OpenTelemetry's ConsoleSpanExporter, one a line or pretty-printed."""
