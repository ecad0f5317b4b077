"""The spans that are open, in a side file of slots: what a killed, hung or still running process is doing.

Written with pwrite and not mapped, which would take 2 or 3 microseconds less of a span: a store into a mapped page of
a file that somebody cuts off, or that a full disk has no room for, kills the process by SIGBUS.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING, Callable

from raytrace_hook.log import warn_once

if TYPE_CHECKING:
    from raytrace_hook.output.writer import InputFile

SLOT_BYTES = 1024
_MOST_SLOTS = 16384
_RETRY_S = 1.0
"""After the file could not be made or extended, how long it is not tried again."""
_SLOT = b"%%-%db\n" % (SLOT_BYTES - 1)
"""A record, padded to a slot."""


class OpenSpans:
    """Holds one record per open span in `<stem>.open`; setting and clearing one is a single small write each."""

    def __init__(self, file: InputFile, resource: Callable[[], str]) -> None:
        """Take the span file to lie beside, and what gives the encoded resource for the header."""
        self._file = file
        self._resource = resource
        self._lock = threading.RLock()
        self._reset()
        os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._descriptor: int | None = None
        self._stem = ""
        self._bytes = 0
        self._retry_at = 0.0
        self._free: list[int] = []
        self._slots: dict[int, int] = {}

    def set(self, key: int, record: str) -> bool:
        """Show a span as open. `record` is its JSON object; False when that is too long for a slot."""
        data = record.encode("ascii")
        if len(data) >= SLOT_BYTES:
            return False
        try:
            if self._file.stem is not self._stem:
                self._start_anew()
            try:
                offset: int | None = self._free.pop()
            except IndexError:
                offset = self._grow()
            if offset is not None and self._descriptor is not None:
                self._slots[key] = offset
                os.pwrite(self._descriptor, _SLOT % data, offset)
        except OSError as error:
            warn_once("open spans can't be recorded, the program goes on", error)
        return True

    def renew(self, key: int, record: str) -> bool:
        """Replace the record of a span that is shown, if it is; the caller keeps it from being cleared meanwhile.

        False when the record is too long for a slot. Raises OSError.
        """
        data, offset, descriptor = record.encode("ascii"), self._slots.get(key), self._descriptor
        if len(data) >= SLOT_BYTES:
            return False
        if offset is not None and descriptor is not None:
            os.pwrite(descriptor, _SLOT % data, offset)
        return True

    def clear(self, key: int) -> None:
        """Take a span out: one byte makes its slot free."""
        offset = self._slots.pop(key, None)
        if offset is None or self._descriptor is None:
            return
        try:
            os.pwrite(self._descriptor, b" ", offset)
        except OSError as error:
            warn_once("open spans can't be recorded, the program goes on", error)
        self._free.append(offset)

    def _grow(self) -> int | None:
        """Return the offset of a new slot, which is there and free."""
        with self._lock:
            if self._bytes > _MOST_SLOTS * SLOT_BYTES or (self._retry_at and time.monotonic() < self._retry_at):
                return None
            self._retry_at = time.monotonic() + _RETRY_S
            if self._descriptor is None:
                self._descriptor = self._file.create_beside(".open", os.O_RDWR)
                if self._descriptor is None:
                    return None
            if not self._bytes:
                header = f'{{"raytrace":"open","version":1,"slot_bytes":{SLOT_BYTES},"resource":{self._resource()}}}'
                # Padded to whole slots: no slot then lies across a page, and none is ever torn by a kill.
                padded = (len(header) // SLOT_BYTES + 1) * SLOT_BYTES
                self._extend(header.encode("ascii").ljust(padded - 1) + b"\n")
            offset = self._bytes
            self._extend(_SLOT % b"")
            self._retry_at = 0.0
            return offset

    def _extend(self, data: bytes) -> None:
        descriptor = self._descriptor
        if descriptor is None:
            return
        if os.pwrite(descriptor, data, self._bytes) < len(data):
            # The disk filled up in the middle of a slot: half of one would spoil the file.
            os.ftruncate(descriptor, self._bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._bytes += len(data)

    def _start_anew(self) -> None:
        with self._lock:
            stem = self._file.stem
            if stem == self._stem:
                return
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._reset()
            self._stem = stem

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        descriptor = self._descriptor
        self._reset()
        if descriptor is not None:
            os.close(descriptor)
