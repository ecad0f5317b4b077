"""Lines of a file with their offsets, for formats that are lines."""

from collections.abc import Iterator

from raytrace_analyze.files.streams import BrokenStream, read_blocks
from raytrace_analyze.model import InputFile


def read_lines(file: InputFile) -> Iterator[tuple[int, bytes]]:
    """Give each line of the unpacked file, its line break included, with its byte offset.

    Raises BrokenStream like `read_blocks`, after the last line that could be had.
    """
    parts: list[bytes] = []
    offset = 0
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
            line = b"".join([*parts, part, b"\n"])
            parts = []
            yield offset, line
            offset += len(line)
        parts.append(rest)
    last = b"".join(parts)
    if last:
        yield offset, last
    if broken is not None:
        raise broken
