"""The spans that are open, in a side file of slots: what a killed, hung or still running process is doing."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Callable

from raytrace_hook.log import warn_once
from raytrace_hook.slots import BLOCK_BYTES, SLOT_BYTES, Slots, add_slots

if TYPE_CHECKING:
    from raytrace_hook.writer import SpanFile

_MOST_BYTES = 16384 * SLOT_BYTES
_RETRY_S = 1.0
"""After the file could not be made or extended, how long it is not tried again."""
_LONGEST = SLOT_BYTES - 1
"""How long a record may be; a newline follows it."""


class OpenSpans:
    """Holds one record per open span in `<stem>.open`; setting and clearing one is a store, or one small write."""

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
        self._bytes = 0
        self._retry_at = 0.0
        self._free: list[tuple[Slots, int]] = []
        self._shown: dict[int, tuple[Slots, int]] = {}

    def set(self, key: int, record: str) -> bool:
        """Show a span as open. `record` is its JSON object; False when that is too long for a slot."""
        data = record.encode("ascii")
        if len(data) > _LONGEST:
            return False
        try:
            if self._file.stem is not self._stem:
                self._start_anew()
            try:
                place: tuple[Slots, int] | None = self._free.pop()
            except IndexError:
                place = self._grow()
            if place is not None:
                self._shown[key] = place
                slots, at = place
                slots.show(at, data.ljust(_LONGEST))
        except OSError as error:
            warn_once("open spans can't be recorded, the program goes on", error)
        return True

    def renew(self, key: int, record: str) -> bool:
        """Replace the record of a span that is shown, if it is; the caller keeps it from being cleared meanwhile.

        False when the record is too long for a slot. Raises OSError.
        """
        data, place = record.encode("ascii"), self._shown.get(key)
        if len(data) > _LONGEST:
            return False
        if place is not None:
            slots, at = place
            slots.renew(at, data.ljust(_LONGEST))
        return True

    def clear(self, key: int) -> None:
        """Take a span out: one byte makes its slot free."""
        place = self._shown.pop(key, None)
        if place is None:
            return
        try:
            slots, at = place
            slots.hide(at)
        except OSError as error:
            warn_once("open spans can't be recorded, the program goes on", error)
        self._free.append(place)

    def _grow(self) -> tuple[Slots, int] | None:
        with self._lock:
            with contextlib.suppress(IndexError):
                return self._free.pop()  # another thread has been here
            if self._bytes >= _MOST_BYTES or (self._retry_at and time.monotonic() < self._retry_at):
                return None
            self._retry_at = time.monotonic() + _RETRY_S
            added = self._add_slots()
            if not added:
                return None
            self._retry_at = 0.0
            self._free.extend(reversed(added[1:]))
            return added[0]

    def _add_slots(self) -> list[tuple[Slots, int]]:
        if self._descriptor is None:
            self._descriptor = self._file.create_beside(".open", os.O_RDWR)
            if self._descriptor is None:
                return []
        begin, header = self._bytes, b""
        if not begin:
            text = f'{{"raytrace":"open","version":1,"slot_bytes":{SLOT_BYTES},"resource":{self._resource()}}}'
            # Padded to whole slots: no slot then lies across a page, and none is ever torn by a kill.
            header = text.encode("ascii").ljust((len(text) // SLOT_BYTES + 1) * SLOT_BYTES - 1) + b"\n"
        # As much again as there is: many slots are then few mappings.
        size = begin or (len(header) // BLOCK_BYTES + 1) * BLOCK_BYTES
        slots = add_slots(self._descriptor, begin, size, header)
        self._bytes = begin + size
        return [(slots, at) for at in range(len(header), size, SLOT_BYTES)]

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
