"""Cuts the decoding of files into tasks of about the same size, in the order of the files."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raytrace_analyze.decode import JOINABLE, decode_file, decode_small_files
from raytrace_analyze.decode.span_json import decode_span_json
from raytrace_analyze.files.streams import open_regular
from raytrace_analyze.model import Compression, Decoded, Format, InputFile

SMALL_BYTES = 1 << 20
"""Files up to this size are decoded several at a time."""

JOINED_BYTES = 4 << 20
"""The most that files decoded together may have."""

PART_BYTES = 32 << 20
"""Larger files are decoded in parts of about this size."""

_RECORD_START = re.compile(rb'\n\{\s*"name"\s*:\s*"[^"]*"\s*,\s*"context"')
"""A line that starts a record for certain; a file that has none within a part is not parted there."""

_WINDOW_BYTES = 1 << 20


@dataclass(frozen=True)
class Task:
    """What one worker does at a time: several small files, one file, or a part of one."""

    files: tuple[InputFile, ...]
    start: int = 0
    stop: int | None = None
    """Byte offsets of a part; None: to the end."""

    def run(self) -> Iterator[Decoded]:
        """Decode; the same spans as `decode_file` gives for the files."""
        if len(self.files) > 1:
            yield decode_small_files(self.files)
        elif self.start or self.stop is not None:
            yield from decode_span_json(self.files[0], self.start, self.stop)
        else:
            yield from decode_file(self.files[0])


def plan(files: Sequence[InputFile], part_bytes: int = PART_BYTES) -> Iterator[Task]:
    """Give the tasks that decode the files, in their order."""
    joined: list[InputFile] = []
    small_bytes = min(SMALL_BYTES, part_bytes)
    for file in files:
        is_small = _is_plain(file) and file.format in JOINABLE and file.size_bytes <= small_bytes
        if joined and (not is_small or sum(one.size_bytes for one in [*joined, file]) > JOINED_BYTES):
            yield Task(tuple(joined))
            joined = []
        if is_small:
            joined.append(file)
        else:
            yield from _parts(file, part_bytes)
    if joined:
        yield Task(tuple(joined))


def _is_plain(file: InputFile) -> bool:
    return file.compression is Compression.NONE


def _parts(file: InputFile, part_bytes: int) -> Iterator[Task]:
    start = 0
    if _is_plain(file) and file.format is Format.SPANS_JSON and file.size_bytes > part_bytes:
        for stop in _record_starts(file, part_bytes):
            yield Task((file,), start, stop)
            start = stop
    yield Task((file,), start)


def _record_starts(file: InputFile, part_bytes: int) -> Iterator[int]:
    """Give offsets about `part_bytes` apart where a record starts."""
    try:
        descriptor = open_regular(file.path)
    except OSError:  # the decoder will say so
        return
    try:
        for offset in range(part_bytes, file.size_bytes - part_bytes // 2, part_bytes):
            match = _RECORD_START.search(os.pread(descriptor, min(_WINDOW_BYTES, part_bytes // 2), offset))
            if match:
                yield offset + match.start() + 1
    except OSError:
        return
    finally:
        os.close(descriptor)
