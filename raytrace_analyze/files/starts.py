"""How a file begins: what it holds is told by that."""

import os
import re
from collections.abc import Callable, Iterator

from raytrace_analyze.files.encodings import UTF_8, encoding_of
from raytrace_analyze.files.streams import BrokenStream, compression_of, unpack
from raytrace_analyze.model import Compression

START_BYTES = 64 << 10
"""Enough for nearly all files."""
LONG_START_BYTES = 4 << 20
"""For JSON whose first record is longer: a long name, or members in another order than usual."""

_MOST_NULS = 64 << 20
"""So much is passed over at the start of a file that a crash has left empty."""
_NULS = b"\0\0\0\0"
"""Stands for a start with nothing else in it."""
_JSON = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*[\[{]")

Start = Callable[[int], bytes]
"""Gives the start of something, that many bytes at most."""


def starts(start: Start) -> Iterator[bytes]:
    """Give how something begins; where that is long JSON, more of it after that."""
    content = start(START_BYTES)
    yield content
    if len(content) >= START_BYTES and _JSON.match(content):
        yield start(LONG_START_BYTES)


def without_nuls(content: bytes) -> bytes:
    """Give what stands behind NULs at the start, some of them where there is nothing else."""
    is_text = content.startswith(b"\0") and encoding_of(content) == UTF_8  # with other encodings a text starts so
    return content.lstrip(b"\0") or _NULS if is_text else content


def packed_start(descriptor: int, length: int) -> bytes:
    """Give the start of an open file, as it is on the disk; of one that starts with NULs what stands behind them."""
    position, head = 0, os.pread(descriptor, length, 0)
    while not head.strip(b"\0") and position < _MOST_NULS:
        position += len(head)
        more = os.pread(descriptor, length, position)
        if not more:
            break
        head = more
    return without_nuls(head)


def unpacked_start(descriptor: int, head: bytes, length: int) -> bytes:
    """Give the start of what is in an open file, that many bytes at most; `head` is what `packed_start` gave of it.

    Raises BrokenStream for packed data that cannot be unpacked at all, OSError for a file that cannot be read.
    """
    head = head if length <= START_BYTES else packed_start(descriptor, length)
    compression = compression_of(head)
    return head if compression is Compression.NONE else _unpacked(head, compression, length)


def member_start(start: Start, length: int) -> bytes:
    """Give the start of what is in a file of an archive, where that is packed once more: as `unpacked_start` does."""
    head = start(length)
    compression = compression_of(head)
    return without_nuls(head) if compression is Compression.NONE else _unpacked(head, compression, length)


def _unpacked(packed: bytes, compression: Compression, length: int) -> bytes:
    """Unpack as much as the packed start of a file gives, without NULs at the start of that; raises BrokenStream."""
    content, size = b"", 0
    try:
        for block in unpack(iter([packed]), compression, START_BYTES):
            size += len(block)
            content = without_nuls(block if content == _NULS else content + block)
            if len(content) >= length or size >= _MOST_NULS:
                break
    except BrokenStream:  # the rest of it is further on in the file
        if not size:
            raise
    return content[:length]
