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
NOT_YET = {CHECKSUM_KEY: "--------:----------------"}
"""What stands in the metadata until the data are written."""

_DIGITS = 8
"""Of the checksum, before the length of the data."""
_TAIL = 8
"""The length of the metadata, and a mark."""
_CHUNK = 1 << 22


def seal(file: BinaryIO, values: Mapping[str, str]) -> None:
    """Put into the metadata of a Parquet file, open for reading and writing, what is known when its data are written.

    That is the checksum of these, and `values`; values of the same length are there by now, under the same keys
    (of the checksum: `NOT_YET`). Raises OSError.
    """
    descriptor = file.fileno()
    size = os.fstat(descriptor).st_size
    begin = _length_of_data(file)
    metadata = os.pread(descriptor, size - _TAIL - begin, begin)
    for key, value in values.items():
        _put(descriptor, metadata, begin, key, value)
    file.seek(0)
    _put(descriptor, metadata, begin, CHECKSUM_KEY, _sealed(_checksum(file, begin), begin))


def _put(descriptor: int, metadata: bytes, begin: int, key: str, value: str) -> None:
    # They are in Thrift's compact protocol, in which 24 begins a text that follows another one, and its length comes
    # next. Texts of spans can be there, too, but before it.
    before = key.encode() + b"\x18" + bytes([len(value)])
    place = metadata.rfind(before)
    if place >= 0:
        os.pwrite(descriptor, value.encode(), begin + place + len(before))


def is_of(metadata: Mapping[str, str], file: BinaryIO) -> bool:
    """Tell whether metadata are of the file that they lie in, as far as the length of its data tells it.

    They may have come from another file, as by programs that change a table and keep what else is in it.
    """
    return metadata.get(CHECKSUM_KEY, "").endswith(_sealed(0, _length_of_data(file))[_DIGITS:])


def _length_of_data(file: BinaryIO) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    return size - _TAIL - int.from_bytes(file.read(_TAIL)[:4], "little")


def is_as_written(file: BinaryIO, metadata: Mapping[str, str]) -> bool:
    """Tell whether the data of a Parquet file are what was written, as far as metadata that `is_of` it tell.

    Raises OSError.
    """
    if not is_of(metadata, file):
        return True
    begin = _length_of_data(file)
    file.seek(0)
    return metadata[CHECKSUM_KEY] == _sealed(_checksum(file, begin), begin)


def _checksum(file: BinaryIO, length: int) -> int:
    """Reckon the checksum of as many bytes as follow."""
    checksum = 0
    while chunk := file.read(min(_CHUNK, length)):
        checksum = zlib.crc32(chunk, checksum)
        length -= len(chunk)
    return checksum


def _sealed(checksum: int, length: int) -> str:
    return f"{checksum:08x}:{length:016x}"
