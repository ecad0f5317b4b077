"""A file's bytes, unpacked, block by block: never more than a block of it in memory."""

import os
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Protocol

import zstandard

from raytrace_analyze.files.archives import BrokenArchive, read_member
from raytrace_analyze.files.encodings import UTF_8, in_utf_8
from raytrace_analyze.files.opened import open_regular
from raytrace_analyze.model import Compression, InputFile, ProblemKind

BLOCK_BYTES = 8 << 20
"""Measured: smaller blocks pay for the columns' set-up, larger ones for memory that is touched only once."""

_PACKED_BYTES = 256
"""How much is unpacked at a time: what an error takes along, and what a bomb can grow from (zstd: 8 MiB)."""

_MAGIC_BYTES = 4

MAX_RATIO = 1000
"""No text of spans unpacks to so many times its size: ids and times alone are a tenth of it."""

_UNSUSPICIOUS_BYTES = 16 << 20
"""So much may come of however little: lines of two bytes take about a second a megabyte."""


def compression_of(head: bytes) -> Compression:
    """Tell by the first bytes of a file how it is packed."""
    if head.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    if head.startswith(b"\x28\xb5\x2f\xfd") or _is_skippable(head):
        return Compression.ZSTD
    return Compression.NONE


def packed_as(path: str | os.PathLike[str]) -> Compression:
    """Tell how a file is packed; raises OSError where it may not be read."""
    descriptor = open_regular(path)
    try:
        return compression_of(os.read(descriptor, _MAGIC_BYTES))
    finally:
        os.close(descriptor)


def _is_skippable(head: bytes) -> bool:
    """Tell whether a zstd frame without content starts here, as parallel packers write them."""
    return head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50


class BrokenStream(Exception):
    """The bytes end before their time; all that could be had was given."""

    def __init__(self, kind: ProblemKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def read_blocks(
    file: InputFile, start: int = 0, stop: int | None = None, block_bytes: int = BLOCK_BYTES
) -> Iterator[bytes]:
    """Give the file's unpacked content in blocks of about `block_bytes`.

    `start` and `stop` are byte offsets, for files that are not packed. Raises BrokenStream after the
    last byte that could be had, if the file cannot be opened or read, or its compressed data is cut or corrupt.
    """
    try:
        descriptor = open_regular(file.path if file.archive is None else file.archive)
    except OSError as error:
        raise BrokenStream(ProblemKind.UNREADABLE, _reason(error)) from error
    try:
        if file.archive is not None:
            unpacked = _read_member(descriptor, file, file.archive, block_bytes)
        else:
            plain = _read_plain(descriptor, start, stop, block_bytes)
            unpacked = plain if file.compression is Compression.NONE else unpack(plain, file.compression, block_bytes)
        yield from unpacked if file.encoding == UTF_8 else in_utf_8(unpacked, file.encoding)
    finally:
        os.close(descriptor)


def _read_member(descriptor: int, file: InputFile, archive: Path, block_bytes: int) -> Iterator[bytes]:
    """Give what is in a file of an archive, unpacked where that is packed once more."""
    stored = _stored(descriptor, str(file.path.relative_to(archive)), block_bytes)
    first = next(stored, b"")
    blocks = chain([first], stored)
    compression = compression_of(first)
    yield from (
        blocks if compression is Compression.NONE else unpack(blocks, compression, block_bytes, file.archived_bytes)
    )


def _stored(descriptor: int, name: str, block_bytes: int) -> Iterator[bytes]:
    try:
        yield from read_member(descriptor, name, block_bytes)
    except BrokenArchive as error:
        raise BrokenStream(ProblemKind.UNREADABLE, f"{error}; what comes after this is lost") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _read_plain(descriptor: int, start: int, stop: int | None, block_bytes: int) -> Iterator[bytes]:
    position = start
    try:
        while wanted := block_bytes if stop is None else min(block_bytes, stop - position):
            block = os.pread(descriptor, wanted, position)
            if not block:
                return
            position += len(block)
            yield block
    except OSError as error:
        raise BrokenStream(ProblemKind.UNREADABLE, _reason(error)) from error


class _Unpacker(Protocol):
    """What zlib's and zstandard's decompression objects have in common: one gzip member, one zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _new_unpacker(compression: Compression) -> _Unpacker:
    if compression is Compression.GZIP:
        return zlib.decompressobj(wbits=31)
    return zstandard.ZstdDecompressor().decompressobj()


def unpack(
    blocks: Iterator[bytes], compression: Compression, block_bytes: int, size_on_disk: int | None = None
) -> Iterator[bytes]:
    """Unpack gzip members or zstd frames that stand one after another, into blocks of about `block_bytes`.

    `size_on_disk` is what they take there in bytes, where that is not what the blocks have.

    Raises BrokenStream after the last byte that could be had, if the data is cut, corrupt or followed by
    something else, or unpacks to more than 1000 times its size (and 16 MiB). After corrupt data nothing more is tried.
    """
    return _gather(_unpack(blocks, compression, size_on_disk), block_bytes)


def _unpack(blocks: Iterator[bytes], compression: Compression, size_on_disk: int | None) -> Iterator[bytes]:
    unpacker: _Unpacker | None = None
    packed = b""
    size_packed = size = 0
    for piece in _pieces(blocks):
        packed += piece
        size_packed += len(piece)
        while unpacker is not None or len(packed) >= _MAGIC_BYTES:
            if unpacker is None:
                if not packed.strip(b"\0"):  # padding after the last member, which gzip allows
                    packed = b""
                    break
                if compression_of(packed) is not compression:
                    raise BrokenStream(ProblemKind.DAMAGED_RECORD, "foreign bytes after the compressed data")
                unpacker = _new_unpacker(compression)
            unpacked = _unpack_piece(unpacker, packed)
            yield unpacked
            size += len(unpacked)
            if size > max(_UNSUSPICIOUS_BYTES, MAX_RATIO * (size_packed if size_on_disk is None else size_on_disk)):
                raise BrokenStream(
                    ProblemKind.UNREADABLE, f"it unpacks to more than {MAX_RATIO:,} times its size; read up to there"
                )
            packed = b""
            if not unpacker.eof:
                break
            packed, unpacker = unpacker.unused_data, None
    if unpacker is not None or packed.strip(b"\0"):
        raise BrokenStream(ProblemKind.UNREADABLE, "the compressed data is cut off; what came after this is lost")


def _unpack_piece(unpacker: _Unpacker, packed: bytes) -> bytes:
    try:
        return unpacker.decompress(packed)
    except (zlib.error, zstandard.ZstdError) as error:
        raise BrokenStream(
            ProblemKind.UNREADABLE, f"the compressed data is corrupt ({error}); what comes after this is lost"
        ) from error


def _pieces(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), _PACKED_BYTES):
            yield block[start : start + _PACKED_BYTES]


def _gather(pieces: Iterator[bytes], block_bytes: int) -> Iterator[bytes]:
    """Join small pieces to blocks; what was gathered is given before an error goes on."""
    parts: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size >= block_bytes:
                yield b"".join(parts)
                parts, size = [], 0
    except BrokenStream:
        yield b"".join(parts)
        raise
    yield b"".join(parts)
