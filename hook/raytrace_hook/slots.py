"""Slots of a file, one record each: mapped into memory where a store can't fail, written elsewhere.

A store into a mapped page costs a tenth of a write. But where the file system has to find room for it only then, on
a full disk it kills the process (SIGBUS). So only those are mapped that keep a written page's room for good; all
others, like those that copy on write, are written.
"""

from __future__ import annotations

import contextlib
import mmap
import os

SLOT_BYTES = 1024
BLOCK_BYTES = mmap.ALLOCATIONGRANULARITY
"""A mapping begins at a multiple of it."""
_KEEP_ROOM = {"ext2", "ext3", "ext4", "tmpfs"}
_EMPTY = b" " * (SLOT_BYTES - 1) + b"\n"
_FREE = ord(" ")


class Slots:
    """Consecutive slots of a file. `at` is the offset of one of them from the first."""

    def __init__(self, descriptor: int, begin: int) -> None:
        self._descriptor = descriptor
        self._begin = begin

    def show(self, at: int, record: bytes) -> None:
        """Fill a free slot with a record as long as the slot without its newline. Raises OSError."""
        os.pwrite(self._descriptor, record, self._begin + at)

    def renew(self, at: int, record: bytes) -> None:
        """Fill a slot that is in use, so that a reader sees the old or the new record. Raises OSError."""
        os.pwrite(self._descriptor, record, self._begin + at)

    def hide(self, at: int) -> None:
        """Make a slot free: its first byte says so. Raises OSError."""
        os.pwrite(self._descriptor, b" ", self._begin + at)


class _MappedSlots(Slots):
    def __init__(self, descriptor: int, begin: int, size: int) -> None:
        super().__init__(descriptor, begin)
        self._memory = mmap.mmap(descriptor, size, offset=begin)

    def show(self, at: int, record: bytes) -> None:
        memory = self._memory
        # The first byte comes last: a process that is killed in between leaves a free slot, never half a record.
        memory[at + 1 : at + len(record)] = record[1:]
        memory[at] = record[0]

    def hide(self, at: int) -> None:
        self._memory[at] = _FREE


def add_slots(descriptor: int, begin: int, size: int, header: bytes = b"") -> Slots:
    """Extend a file that ends at `begin` by `size` bytes: a header, then free slots.

    Raises OSError, and the file is then as it was.
    """
    content = header + _EMPTY * ((size - len(header)) // SLOT_BYTES)
    written = 0
    try:
        while written < size:  # a disk that fills up takes a part, and says so the next time
            written += os.pwrite(descriptor, content[written:], begin + written)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, begin)
        raise
    if keeps_room(descriptor):
        with contextlib.suppress(OSError, ValueError):
            return _MappedSlots(descriptor, begin, size)
    return Slots(descriptor, begin)


def keeps_room(descriptor: int) -> bool:
    """Tell whether the file system of this file never needs new room for a page that was written before."""
    device = os.fstat(descriptor).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                before, _, after = line.partition(" - ")
                if before.split(" ", 3)[2] == wanted:
                    return after.split(" ", 1)[0] in _KEEP_ROOM
    except (OSError, IndexError):
        pass
    return False
