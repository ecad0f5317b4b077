"""Lines of a file with their offsets, for formats that are lines."""

from collections.abc import Iterator

from raytrace_analyze.files.streams import BrokenStream, read_blocks
from raytrace_analyze.model import InputFile

MAX_LINE_BYTES = 64 << 20
"""What a longer line has beyond this is passed over: memory stays bounded."""


def read_lines(file: InputFile, longest: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes]]:
    """Give each line of the unpacked file, its line break included, with its byte offset.

    A line longer than `longest` bytes is given cut off there, with a line break. Raises BrokenStream like
    `read_blocks`, after the last line that could be had.
    """
    parts: list[bytes] = []
    offset = kept = size = 0
    broken: BrokenStream | None = None
    blocks = read_blocks(file)
    while True:
        try:
            block = next(blocks, None)
        except BrokenStream as error:
            broken, block = error, None
        if block is None:
            break
        *whole, rest = block.split(b"\n")
        for part in whole:
            yield offset, b"".join([*parts, part[: longest - kept], b"\n"])
            offset += size + len(part) + 1
            parts, kept, size = [], 0, 0
        parts.append(rest[: longest - kept])
        kept += len(parts[-1])
        size += len(rest)
    last = b"".join(parts)
    if last:
        yield offset, last
    if broken is not None:
        raise broken
