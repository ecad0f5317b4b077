"""Zip archives: their members are files like others, unpacked as they are read."""

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from raytrace_analyze.values import frozen

_MAGIC = b"PK\x03\x04"
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_MOST_MEMBERS = 100_000
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
"""What zipfile raises for damage, in its words or in those of what it is made of."""


class BrokenArchive(Exception):
    """The archive, or a file in it, cannot be read on; all that could be had was given."""


@frozen
class Member:
    """A file in an archive."""

    name: str
    size_bytes: int
    """Its size unpacked, as the archive says."""
    archived_bytes: int
    """How many bytes it takes in the archive."""
    head: bytes
    """How it begins."""
    start: Callable[[int], bytes]
    """Gives how it begins, so many bytes, while the archive is open."""


def is_zip(head: bytes) -> bool:
    """Tell by the first bytes of a file whether it is a zip archive."""
    return head.startswith(_MAGIC)


def members(descriptor: int, head_bytes: int) -> Iterator[Member]:
    """Give the files of the archive that is open there, each with its start; those that cannot be read are left out.

    Raises BrokenArchive for an archive without a readable directory.
    """
    with _opened(descriptor) as archive:
        for info in archive.infolist()[:_MOST_MEMBERS]:
            if info.is_dir() or info.flag_bits & _ENCRYPTED or info.compress_type not in _READABLE:
                continue
            try:
                with archive.open(info) as stream:
                    head = stream.read(head_bytes)
            except _BROKEN:
                continue
            yield Member(info.filename, info.file_size, info.compress_size, head, partial(_start, archive, info, head))


def _start(archive: zipfile.ZipFile, info: zipfile.ZipInfo, head: bytes, length: int) -> bytes:
    """Give the start of a file of the archive, of which a part is known; no more than that where it is damaged."""
    if length <= len(head):
        return head[:length]
    try:
        with archive.open(info) as stream:
            return stream.read(length)
    except _BROKEN:
        return head


def read_member(descriptor: int, name: str, block_bytes: int) -> Iterator[bytes]:
    """Give what is in a file of the archive, in blocks. Raises BrokenArchive after the last byte that could be had."""
    with _opened(descriptor) as archive:
        try:
            with archive.open(name) as stream:
                while block := stream.read(block_bytes):
                    yield block
        except (*_BROKEN, KeyError) as error:
            raise BrokenArchive(f"the compressed data is corrupt ({error})") from error


@contextmanager
def _opened(descriptor: int) -> Iterator[zipfile.ZipFile]:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _BROKEN as error:
            raise BrokenArchive(f"the archive is corrupt ({error})") from error
        with archive:
            yield archive
