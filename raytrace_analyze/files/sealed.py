"""Whether a Parquet file still is what was written: its data's checksum and length, which its own metadata hold.

A library takes some damage for data: other values come of it, or a demand for more memory than there is, which ends the
process. Where the metadata lie, and how long they are, is told by the file's last bytes (Parquet's documentation, "File
Format").
"""

import os
import zlib
from collections.abc import Mapping
from typing import BinaryIO

CHECKSUM_KEY = "raytrace.checksum"
NOT_YET = "--------:----------------"
"""What stands in the metadata until the data are written."""

_BEFORE = CHECKSUM_KEY.encode() + b"\x18" + bytes([len(NOT_YET)])
"""What stands before the value in the metadata. These are in Thrift's compact protocol, in which 24 begins a text that
follows another one, and its length comes next. Texts of spans can be there, too, but before it."""
_DIGITS = 8
"""Of the checksum, before the length of the data."""
_TAIL = 8
"""The length of the metadata, and a mark."""
_CHUNK = 1 << 22


def seal(file: BinaryIO) -> None:
    """Put the checksum of the data of a Parquet file, open for reading and writing, into its metadata.

    `NOT_YET` is there as the value of `CHECKSUM_KEY`; without it nothing is done. Raises OSError.
    """
    descriptor = file.fileno()
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _TAIL, max(size - _TAIL, 0))
    begin = size - _TAIL - int.from_bytes(tail[:4], "little")
    metadata = os.pread(descriptor, size - _TAIL - begin, begin)
    place = metadata.rfind(_BEFORE)
    if place < 0:
        return
    checksum, at = 0, 0
    while at < begin:
        chunk = os.pread(descriptor, min(_CHUNK, begin - at), at)
        checksum = zlib.crc32(chunk, checksum)
        at += len(chunk)
    os.pwrite(descriptor, _sealed(checksum, begin).encode(), begin + place + len(_BEFORE))


def is_as_written(content: bytes, metadata: Mapping[str, str]) -> bool:
    """Tell whether the data of a Parquet file are what was written, as far as its metadata tell.

    Those may have come from another file, as by programs that change a table and keep what else is in it: then the data
    have another length than they tell.
    """
    sealed = metadata.get(CHECKSUM_KEY, NOT_YET)
    begin = len(content) - _TAIL - int.from_bytes(content[-_TAIL:-4], "little")
    is_of_these = sealed.endswith(_sealed(0, begin)[_DIGITS:])
    return not is_of_these or sealed == _sealed(zlib.crc32(memoryview(content)[:begin]), begin)


def _sealed(checksum: int, length: int) -> str:
    return f"{checksum:08x}:{length:016x}"
