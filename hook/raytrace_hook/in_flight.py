"""The spans that are open, in a side file of slots: what a killed, hung or still running process is doing.

Written with pwrite and not mapped: a store into a mapped page of a full disk would kill the process by SIGBUS.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Callable

from raytrace_hook.log import warn_once

if TYPE_CHECKING:
    from raytrace_hook.writer import SpanFile

SLOT_BYTES = 1024
_MOST_SLOTS = 16384
_SLOT = b"%%-%db\n" % (SLOT_BYTES - 1)
"""A record, padded to a slot."""


class OpenSpans:
    """Holds one record per open span in `<stem>.open`; setting and clearing one is a single small write each."""

    def __init__(self, file: SpanFile, resource: Callable[[], str]) -> None:
        """Take the span file to lie beside, and what gives the encoded resource for the header."""
        self._file = file
        self._resource = resource
        self._lock = threading.RLock()
        self._reset()
        os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._descriptor: int | None = None
        self._stem = ""
        self._first = 0
        self._count = 0
        self._free: list[int] = []
        self._slots: dict[int, int] = {}

    def set(self, key: int, record: str) -> bool:
        """Show a span as open. `record` is its JSON object; False when that is too long for a slot."""
        data = record.encode("ascii")
        if len(data) >= SLOT_BYTES:
            return False
        try:
            if self._file.stem != self._stem:
                self._open()
            descriptor = self._descriptor
            if descriptor is None:
                return True
            try:
                offset: int | None = self._free.pop()
            except IndexError:
                offset = self._grow()
            if offset is not None:
                self._slots[key] = offset
                os.pwrite(descriptor, _SLOT % data, offset)
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
        with self._lock:
            if self._count >= _MOST_SLOTS:
                return None
            self._count += 1
            return self._first + (self._count - 1) * SLOT_BYTES

    def _open(self) -> None:
        with self._lock:
            stem = self._file.stem
            if stem == self._stem:
                return
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._reset()
            descriptor = self._file.create_beside(".open", os.O_RDWR)
            if descriptor is not None:
                header = f'{{"raytrace":"open","version":1,"slot_bytes":{SLOT_BYTES},"resource":{self._resource()}}}'
                # Padded to whole slots: no slot then lies across a page, and none is ever torn by a kill.
                self._first = (len(header) // SLOT_BYTES + 1) * SLOT_BYTES
                os.pwrite(descriptor, header.encode("ascii").ljust(self._first - 1) + b"\n", 0)
            self._descriptor = descriptor
            self._stem = stem

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        descriptor = self._descriptor
        self._reset()
        if descriptor is not None:
            os.close(descriptor)
