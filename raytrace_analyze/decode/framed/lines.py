"""Lines of a file with their offsets, for formats that are lines."""

import re
from collections.abc import Iterator

from raytrace_analyze.files.streams import BrokenStream, read_blocks
from raytrace_analyze.model import InputFile

MAX_LINE_BYTES = 64 << 20
"""What a longer line has beyond this is passed over: memory stays bounded."""

_LINE = re.compile(rb"[ \t\r\n]*\n|[^\n]*\n")
"""Blank lines one after another are found as one: each by itself costs as much as a line of text."""
_NUL = b"\0"


def read_lines(file: InputFile, longest: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes]]:
    """Give each line of the unpacked file, its line break included, with its byte offset.

    Blank lines in a row are given together. NULs at the start of the file are a line of their own (see `is_hole`). A
    line longer than `longest` bytes is given cut off there, with a line break. Raises BrokenStream like `read_blocks`,
    after the last line that could be had.
    """
    parts: list[bytes] = []
    offset = kept = size = nuls = 0
    is_start = True
    broken: BrokenStream | None = None
    blocks = read_blocks(file)
    while True:
        try:
            block = next(blocks, None)
        except BrokenStream as error:
            broken, block = error, None
        if block is None:
            break
        if is_start:
            nuls, block = nuls + len(block), block.lstrip(_NUL)
            nuls -= len(block)
            if not block:
                continue
            is_start = False
            if nuls:
                yield 0, _hole(nuls, longest)
                offset = nuls
        begin, end = 0, block.rfind(b"\n") + 1
        if size and end:
            begin = block.find(b"\n") + 1
            yield offset, b"".join([*parts, block[: min(begin - 1, longest - kept)], b"\n"])
            offset += size + begin
            parts, kept, size = [], 0, 0
        for found in _LINE.finditer(block, begin, end):
            line = found[0]
            yield offset + found.start() - begin, line if len(line) <= longest else line[:longest] + b"\n"
        offset += end - begin
        rest = block[end:]
        if rest:
            parts.append(rest[: longest - kept])
            kept += len(parts[-1])
            size += len(rest)
    last = b"".join(parts) if size else _hole(nuls, longest) if is_start and nuls else b""
    if last:
        yield offset, last
    if broken is not None:
        raise broken


def _hole(length: int, longest: int) -> bytes:
    return _NUL * max(min(length, longest) - 1, 1) + b"\n"


def is_hole(line: bytes) -> bool:
    """Tell whether a line is no line, but NULs at the start of a file, as a crash leaves them."""
    return not line.strip(b"\0\n") and line.startswith(_NUL)
