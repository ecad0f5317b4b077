"""Cuts the decoding of files into tasks of about the same size, in the order of the files."""

import os
from collections.abc import Iterator, Sequence

from raytrace_analyze.decode import decode_file, decode_part, decode_small_files, format_of
from raytrace_analyze.decode.input_format import Parts
from raytrace_analyze.files.encodings import UTF_8
from raytrace_analyze.files.opened import open_regular
from raytrace_analyze.model import Compression, Decoded, InputFile
from raytrace_analyze.values import frozen

SMALL_BYTES = 1 << 20
"""Files up to this size are decoded several at a time."""

JOINED_BYTES = 4 << 20
"""The most that files decoded together may have."""

PART_BYTES = 32 << 20
"""Larger files are decoded in parts of about this size."""

_WINDOW_BYTES = 1 << 20


@frozen
class Task:
    """What one worker does at a time: several small files, one file, or a part of one."""

    files: tuple[InputFile, ...]
    start: int = 0
    stop: int | None = None
    """Byte offsets of a part; None: to the end."""

    @property
    def size_bytes(self) -> int:
        """How much of the files on disk it reads."""
        if self.stop is not None:
            return self.stop - self.start
        return max(sum(file.size_bytes for file in self.files) - self.start, 0)

    def run(self) -> Iterator[Decoded]:
        """Decode; the same spans as `decode_file` gives for the files."""
        if len(self.files) > 1:
            yield decode_small_files(self.files)
        elif self.start or self.stop is not None:
            yield from decode_part(self.files[0], self.start, self.stop)
        else:
            yield from decode_file(self.files[0])


def plan(files: Sequence[InputFile], part_bytes: int = PART_BYTES) -> Iterator[Task]:
    """Give the tasks that decode the files, in their order."""
    joined: list[InputFile] = []
    small_bytes = min(SMALL_BYTES, part_bytes)
    for file in files:
        is_small = _is_plain(file) and format_of(file).read is not None and file.size_bytes <= small_bytes
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
    return file.compression is Compression.NONE and file.encoding == UTF_8


def _parts(file: InputFile, part_bytes: int) -> Iterator[Task]:
    start = 0
    parts = format_of(file).parts
    if parts is not None and _is_plain(file) and file.size_bytes > part_bytes:
        for stop in _record_starts(file, parts, part_bytes):
            yield Task((file,), start, stop)
            start = stop
    yield Task((file,), start)


def _record_starts(file: InputFile, parts: Parts, part_bytes: int) -> Iterator[int]:
    """Give offsets about `part_bytes` apart where a record starts."""
    try:
        descriptor = open_regular(file.path)
    except OSError:  # the decoder will say so
        return
    try:
        for offset in range(part_bytes, file.size_bytes - part_bytes // 2, part_bytes):
            found = parts.find_start(os.pread(descriptor, min(_WINDOW_BYTES, part_bytes // 2), offset))
            if found is not None:
                yield offset + found
    except OSError:
        return
    finally:
        os.close(descriptor)
