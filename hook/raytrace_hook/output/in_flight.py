"""The spans that are open, in a side file of slots: what a killed, hung or still running process is doing.

Written with pwrite and not mapped, which would take 2 or 3 microseconds less of a span: a store into a mapped page of
a file that somebody cuts off, or that a full disk has no room for, kills the process by SIGBUS.

An exception may come between any two steps of this code (a Ctrl-C, a cancelled task). There is therefore no lock that
could stay held, a slot is taken and given back by one step of the interpreter each, and what an interrupted span still
holds is given back once nobody has the span any more.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Callable

from raytrace_hook.forking import call_in_child
from raytrace_hook.log import warn_once
from raytrace_hook.output.directory import OpenFile
from raytrace_hook.output.encode import quote

if TYPE_CHECKING:
    from raytrace_hook.output.writer import SpanFile

SLOT_BYTES = 4096
"""Room for a wait that names the 64 tasks it asked for."""
LONG_SLOT_BYTES = 8192
"""A slot of those spans that the sampler has much to tell of."""
_MOST_BYTES = 16384 * SLOT_BYTES
_HEAD = '{"raytrace":"open","version":1,"slot_bytes":%d,'
_LOSSES_BYTES, _LONGEST_REASON = 300, 40
"""The place in the header for what is lost, and how much of the reason is told."""
_RETRY_S = 1.0
"""After the file could not be made or extended, how long it is not tried again."""


class _Owner(weakref.ref):  # type: ignore[type-arg] # generic from Python 3.9 on, at run time too, but not in its bases
    """Notes that the span of a key is gone."""

    __slots__ = ("key",)
    key: int


class _Slots(OpenFile):
    """The file itself, and which of its slots are taken."""

    def __init__(self, descriptor: int, growing: int, first: int, slot_bytes: int) -> None:
        self.descriptors = (descriptor, growing)
        self.descriptor = descriptor
        self.growing = growing
        """A descriptor of the same file that only appends."""
        self.first = first
        """Where the first slot begins."""
        self.taken: dict[int, int] = {}
        """By key, where its slot begins."""
        self.used: dict[int, int] = {}
        """By where a slot begins, how much of it has ever been written into; the rest is blank."""
        self.free: list[int] = []
        self.again = iter(self.free.pop, None)
        self.fresh = itertools.count(first, slot_bytes)

    def write(self, key: int, data: bytes) -> None:
        """Write a record into the slot of a key: over all that was there, and no more. Raises OSError, KeyError."""
        begin = self.taken[key]
        used = self.used.get(begin, 0)
        if len(data) > used:
            self.used[begin] = len(data)
        os.pwrite(self.descriptor, data if len(data) >= used else data.ljust(used), begin)

    def take(self, key: int, supply: Any) -> None:
        """Give a slot to a key; IndexError when the supply has none. One step: nothing can come in between."""
        self.taken.update(zip((key,), supply))

    def give_back(self, key: int) -> None:
        """Take the slot from a key; KeyError when it has none. One step as well."""
        self.free.extend(map(self.taken.pop, (key,)))


class OpenSpans:
    """Holds one record per open span in `<stem>.open`; setting and clearing one is a single small write each."""

    def __init__(self, file: SpanFile, resource: Callable[[], str], slot_bytes: int = SLOT_BYTES) -> None:
        """Take the span file to lie beside, and what gives the encoded resource for the header."""
        self._file = file
        self._resource = resource
        self._slot_bytes = slot_bytes
        self._blank = b"\n".rjust(slot_bytes)
        """A slot that nothing was written into."""
        self._on_gone: Callable[[int], None] | None = None
        self._reset()
        call_in_child(self._reset)

    def _reset(self) -> None:
        self._slots: _Slots | None = None
        self._files: dict[str, _Slots] = {}
        self._stem = ""
        self._retry_at = 0.0
        self._owners: dict[int, _Owner] = {}
        self._gone: deque[_Owner] = deque()

    def when_gone(self, action: Callable[[int], None]) -> None:
        """Have this called with the key of each span that went without being cleared."""
        self._on_gone = action

    def own(self, key: int, owner: object) -> None:
        """Let `key` be cleared, if nothing else does, once this object is no more."""
        reference = _Owner(owner, self._gone.append)
        reference.key = key
        self._owners[key] = reference

    def sweep(self) -> None:
        """Clear what belongs to objects that are no more."""
        for reference in list(self._gone):
            if self._on_gone is not None:
                self._on_gone(reference.key)
            self.clear(reference.key)
            with contextlib.suppress(ValueError):  # another thread has done the same
                self._gone.remove(reference)

    def set(self, key: int, record: str, owner: object = None) -> bool:
        """Show a span as open. `record` is its JSON object; False when that is too long for a slot.

        The slot is free again when the key is cleared, at the latest once the owner, if there is one, is no more.
        """
        if self._gone:
            self.sweep()
        if owner is not None:
            self.own(key, owner)
        data = record.encode("ascii")
        if len(data) >= self._slot_bytes:
            return False
        try:
            slots = self._slots
            if slots is None or self._file.stem is not self._stem:
                slots = self._start_anew()
            if slots is None:
                return True
            try:
                slots.take(key, slots.again)
            except IndexError:
                if not self._grow(slots):
                    return True
                slots.take(key, slots.fresh)
            with contextlib.suppress(KeyError):  # another thread shows it elsewhere by now
                slots.write(key, data)
        except OSError as error:
            self._retry_at = time.monotonic() + _RETRY_S
            warn_once("open spans can't be recorded, the program goes on", error)
        return True

    def renew(self, key: int, record: str) -> bool:
        """Replace the record of a span that is shown, if it is; the caller keeps it from being cleared meanwhile.

        False when the record is too long for a slot. Raises OSError.
        """
        data, slots = record.encode("ascii"), self._slots
        if len(data) >= self._slot_bytes:
            return False
        if slots is not None and key in slots.taken:
            slots.write(key, data)
        return True

    def shows(self, key: int) -> bool:
        """Tell whether this span has a slot."""
        return self._slots is not None and key in self._slots.taken

    def clear(self, key: int) -> None:
        """Take a span out: one byte makes its slot free."""
        self.hide(key)
        self._owners.pop(key, None)  # last: until then, what is interrupted is done again once the span is gone

    def hide(self, key: int) -> None:
        """Do the same for a span that goes on and is shown elsewhere."""
        slots = self._slots
        if slots is None or key not in slots.taken:
            return
        try:
            os.pwrite(slots.descriptor, b" ", slots.taken[key])
        except KeyError:  # another thread has done the same
            return
        except OSError as error:
            warn_once("open spans can't be recorded, the program goes on", error)
        with contextlib.suppress(KeyError):
            slots.give_back(key)

    def _start_anew(self) -> _Slots | None:
        """Make the file; None when it can't be made now."""
        if time.monotonic() < self._retry_at:
            return None
        stem = self._file.stem
        made = self._file.create_once("open", os.O_RDWR, lambda: self._slots is not None and self._stem is stem)
        if made is None:
            return self._slots if self._stem is stem else None
        descriptor, name = made
        growing = self._file.open_again(name, os.O_WRONLY | os.O_APPEND)
        first = self._header_bytes()
        slots = _Slots(descriptor, growing, len(first), self._slot_bytes)
        try:
            _write_all(descriptor, first)
        except OSError:  # the next attempt makes another file
            self._file.remove(name)
            raise
        # Where another thread was given up too early, its file is the one: what is open in it must be found again.
        slots = self._files.setdefault(stem, slots)
        for other in [one for one in list(self._files) if one is not stem]:
            self._files.pop(other, None)
        self._slots, self._stem = slots, stem
        return slots

    def _header_bytes(self) -> bytes:
        losses = self._losses().ljust(_LOSSES_BYTES)
        header = f'{_HEAD % self._slot_bytes}{losses}"resource":{self._resource()}}}'
        # Padded to whole slots: no slot then lies across a page, and none is ever torn by a kill.
        padded = (len(header) // SLOT_BYTES + 1) * SLOT_BYTES
        return header.encode("ascii").ljust(padded - 1) + b"\n"

    def note_lost(self) -> None:
        """Say in the header how many spans are lost: on a full disk, too, there is room for what replaces something."""
        slots = self._slots
        if slots is not None and self._file.stem is self._stem:
            with contextlib.suppress(OSError):
                # Over all of the place: what was told before may have been longer.
                losses = self._losses().ljust(_LOSSES_BYTES).encode("ascii")
                os.pwrite(slots.descriptor, losses, len(_HEAD % self._slot_bytes))

    def _losses(self) -> str:
        lost = self._file.lost
        return f'"lost_spans":{lost},"lost_because":{quote(self._file.lost_because[:_LONGEST_REASON])},' if lost else ""

    def _grow(self, slots: _Slots) -> bool:
        """Add a free slot to the file; False where it may not or can't get larger now."""
        if len(slots.taken) * self._slot_bytes > _MOST_BYTES or time.monotonic() < self._retry_at:
            return False
        try:
            _write_all(slots.growing, self._blank)
        except OSError:
            # The disk filled up in the middle of a slot: half of one would spoil the file.
            size = os.fstat(slots.growing).st_size
            os.ftruncate(slots.growing, size - (size - slots.first) % self._slot_bytes)
            raise
        return True


def _write_all(descriptor: int, data: bytes) -> None:
    """Write at once; OSError where there is room for a part of it only."""
    if os.write(descriptor, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
