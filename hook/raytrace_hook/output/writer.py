"""The span file of a process: one line a span, one write a line, complete whenever the process dies.

There is no lock: an exception that comes at the wrong moment (a Ctrl-C) would leave it held, and every thread that ends
a span would hang. Appending is one call of the system, which keeps lines of several threads apart; all else may be left
at any step and is done again by the next.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from threading import get_ident
from typing import Callable

from raytrace_hook.forking import call_in_child
from raytrace_hook.log import warn_once
from raytrace_hook.output.directory import OpenFile, create_file, open_directory
from raytrace_hook.output.limits import clean_up, file_host

_RETRY_S = 1.0
"""After a write has failed, how long nothing is tried: a full disk stays full for a while."""
_LOOK_S = 0.1
"""How often to look whether the file is still there."""
_CREATION_S, _STEP_S = 0.1, 0.001
"""How long another thread is given to finish making a file, and how often that is looked at."""


class _Part(OpenFile):
    """A file that lines are appended to."""

    def __init__(self, descriptor: int) -> None:
        self.descriptors = (descriptor,)
        self.descriptor = descriptor
        self.safe_bytes = 0
        """What was in it when it was last seen to have a name."""


class SpanFile:
    """Appends lines to a file of this process alone, which is created with the first line."""

    def __init__(
        self, directory: str, max_file_bytes: int = 0, max_directory_bytes: int = 0, keep_days: float = 0
    ) -> None:
        """Take where the files go and the limits; 0 is none."""
        self._directory = directory
        self._max_file_bytes = max_file_bytes
        self._max_directory_bytes = max_directory_bytes
        self._keep_days = keep_days
        self.on_loss: Callable[[], None] = lambda: None
        """Called after spans have been lost."""
        self._start()
        call_in_child(self._start)

    def _start(self) -> None:
        self._lost: dict[int, int] = {}
        """By thread: none of them counts in another's place."""
        self.lost_because = ""
        """Why the last ones were lost."""
        self.start_anew()

    def start_anew(self) -> None:
        """Go on in a file of another name: what follows belongs to another session."""
        self._part: _Part | None = None
        self._resting: _Part | None = None
        """The file that could not be written into the last time."""
        self._due = 0.0
        """When to look after the file again; until then, where there is none, lines are lost."""
        self._numbers: dict[str, int] = {}
        """By kind, the number of the next file."""
        self.stem = f"spans-{file_host()}-{os.getpid()}-{time.time_ns()}-{secrets.token_hex(4)}"
        """The name that all files of this process (and session) begin with."""

    @property
    def lost(self) -> int:
        """How many lines could not be written so far."""
        return sum(list(self._lost.values()))

    def write(self, line: bytes) -> bool:
        """Append one line with one write. Returns whether it is in the file."""
        part = self._part
        if time.monotonic() >= self._due:
            part = self.look_after()
        if part is not None and self._max_file_bytes:
            part = self._with_room(part, len(line))
        if part is None:
            self.count_lost(1, self.lost_because)
            return False
        try:
            written = os.write(part.descriptor, line)
            if written == len(line):
                return True
            # The disk filled up in the middle of the line. Others may have written behind it already: the file is left
            # as a process leaves it that is killed, and the next line goes into another one.
            self._rest(None)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            if self._part is not None:
                self._rest(part)
            self.count_lost(1, error.strerror or str(error))
            warn_once("spans can't be written and are lost, the program goes on", error)
            return False

    def _rest(self, part: _Part | None) -> None:
        self._due = time.monotonic() + _RETRY_S
        self._resting, self._part = part, None

    def count_lost(self, number: int, because: str) -> None:
        """Add to what is lost."""
        thread = get_ident()
        self._lost[thread] = self._lost.get(thread, 0) + number
        self.lost_because = because
        self.on_loss()

    def check(self) -> None:
        """Save what was written into a file that somebody has removed."""
        if self._part is not None:
            self.look_after()

    def look_after(self) -> _Part | None:
        """Return the file to write into, another one where it has been removed; None when there is none now."""
        part = self._part or self._resting
        if part is not None:
            self._due = time.monotonic() + _LOOK_S
            status = os.fstat(part.descriptor)
            if status.st_nlink:
                part.safe_bytes = status.st_size
                self._part = part
                return part
        following = self._open_next(part)
        if part is not None:
            self._save_removed(part, following)
        if following is None:
            self._rest(None)
        else:  # not before: threads that come while there is no file wait for it, too
            self._due = time.monotonic() + _LOOK_S
        return following

    def _save_removed(self, removed: _Part, following: _Part | None) -> None:
        """Write again what went into a file after it had been removed: what was in it before, somebody wanted away."""
        end, start = os.fstat(removed.descriptor).st_size, removed.safe_bytes
        removed.safe_bytes = end
        if end <= start:
            return
        lines = os.pread(removed.descriptor, end - start, start)
        if following is not None:
            with contextlib.suppress(OSError):
                if os.write(following.descriptor, lines) == len(lines):
                    return
        self.count_lost(lines.count(b"\n"), "their file was removed")

    def _with_room(self, part: _Part, length: int) -> _Part | None:
        size = os.fstat(part.descriptor).st_size
        return part if not size or size + length <= self._max_file_bytes else self._open_next(part)

    def _open_next(self, part: _Part | None) -> _Part | None:
        """Make the next file, unless another thread does so; None when it can't be made."""
        if not self._has_room():
            return None
        stem = self.stem
        made = self.create_once("jsonl", os.O_RDWR | os.O_APPEND, lambda: self._part not in (part, None))
        if made is not None:
            following = _Part(made[0])
            if self.stem is stem:
                self._part = following
            return following
        return self._part if self._part is not part else None

    def create_once(self, kind: str, flags: int, is_done: Callable[[], bool]) -> tuple[int, str] | None:
        """Create the next `<stem>.<kind>`, the user's alone; None when it can't be (said once), or `is_done`.

        Of several threads that want it at once one makes it, which the file's name decides, and the others wait a
        little until `is_done` says that they have it as well. Returns its descriptor and its name.
        """
        numbers = self._numbers
        try:
            directory = open_directory(self._directory)
            try:
                for number in itertools.count(numbers.get(kind, 0)):
                    name = f"{self.stem}.{number}.{kind}" if number else f"{self.stem}.{kind}"
                    try:
                        descriptor = create_file(directory, name, flags)
                    except FileExistsError:
                        if _becomes_true(is_done):
                            return None
                    else:
                        numbers[kind] = number + 1
                        return descriptor, name
            finally:
                os.close(directory)
        except OSError as error:
            self.lost_because = error.strerror or str(error)
            warn_once(f"nothing can be written in {self._directory}, spans are lost, the program goes on", error)
        return None

    def open_again(self, name: str, flags: int) -> int:
        """Open a file of ours once more. Raises OSError."""
        directory = open_directory(self._directory)
        try:
            return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        finally:
            os.close(directory)

    def remove(self, name: str) -> None:
        """Remove a file of ours, if it is still there."""
        with contextlib.suppress(OSError):
            directory = open_directory(self._directory)
            try:
                os.unlink(name, dir_fd=directory)
            finally:
                os.close(directory)

    def replace_beside(self, suffix: str, lines: Iterable[bytes]) -> None:
        """Replace `<stem><suffix>` as a whole, so that a reader sees the old or the new one. Raises OSError."""
        directory = open_directory(self._directory)
        try:
            name, draft = f"{self.stem}{suffix}", f".{self.stem}{suffix}-{secrets.token_hex(4)}"
            descriptor = create_file(directory, draft, os.O_WRONLY)
            try:
                with open(descriptor, "wb") as file:
                    file.writelines(lines)
                os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(draft, dir_fd=directory)
                raise
        finally:
            os.close(directory)

    def lines_beside(self, suffix: str) -> Iterator[bytes]:
        """Give the lines of `<stem><suffix>`; none where it is not there. Raises OSError."""
        try:
            descriptor = self.open_again(f"{self.stem}{suffix}", os.O_RDONLY)
        except FileNotFoundError:
            return
        with open(descriptor, "rb") as file:
            yield from file

    def _has_room(self) -> bool:
        if not (self._max_directory_bytes or self._keep_days):
            return True
        try:
            directory = open_directory(self._directory)
            try:
                left = clean_up(directory, self._max_directory_bytes, self._keep_days)
            finally:
                os.close(directory)
        except OSError:
            return True  # the directory itself is the trouble: creating the file will say it
        if self._max_directory_bytes and left >= self._max_directory_bytes:
            self.lost_because = "the directory is as large as it may get"
            warn_once(f"{self._directory} is as large as it may get, spans are lost, the program goes on")
            return False
        return True


def _becomes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _CREATION_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP_S)
    return True
