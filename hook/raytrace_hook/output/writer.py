"""The span file of a process: one line a span, one write a line, complete whenever the process dies."""

from __future__ import annotations

import errno
import os
import secrets
import threading
import time

from raytrace_hook.log import warn_once
from raytrace_hook.output.directory import create_file, open_directory
from raytrace_hook.output.limits import clean_up, file_host

_RETRY_S = 1.0
"""After a write has failed, how long nothing is tried: a full disk stays full for a while."""


class InputFile:
    """Appends lines to a file of this process alone, which is created with the first line."""

    def __init__(
        self, directory: str, max_file_bytes: int = 0, max_directory_bytes: int = 0, keep_days: float = 0
    ) -> None:
        """Take where the files go and the limits; 0 is none."""
        self._directory = directory
        self._max_file_bytes = max_file_bytes
        self._max_directory_bytes = max_directory_bytes
        self._keep_days = keep_days
        self._lock = threading.RLock()
        self._start()
        os.register_at_fork(after_in_child=self._after_fork)

    def _start(self) -> None:
        self._descriptor: int | None = None
        self._refused = False
        self._bytes = 0
        self._part = 0
        self._retry_at = 0.0
        self.stem = f"spans-{file_host()}-{os.getpid()}-{time.time_ns()}-{secrets.token_hex(4)}"
        """The name that all files of this process (and session) begin with."""
        self.lost = 0
        """How many lines could not be written so far."""

    def write(self, line: bytes) -> bool:
        """Append one line with one write. Returns whether it is in the file."""
        lock = self._lock
        lock.acquire()  # costs half of what `with` does
        try:
            if self._retry_at and time.monotonic() < self._retry_at:
                self.lost += 1
                return False
            descriptor = self._descriptor
            if descriptor is None or (self._max_file_bytes and self._bytes + len(line) > self._max_file_bytes):
                descriptor = self._open_next()
            if descriptor is None:
                self.lost += 1
                self._retry_at = time.monotonic() + _RETRY_S
                return False
            try:
                written = os.write(descriptor, line)
                if written < len(line):
                    # The disk filled up in the middle of the line: half a line would spoil the next one.
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                self.lost += 1
                self._retry_at = time.monotonic() + _RETRY_S
                warn_once("spans can't be written and are lost, the program goes on", error)
                return False
            self._bytes += written
            self._retry_at = 0.0
            return True
        finally:
            lock.release()

    def start_anew(self) -> None:
        """Go on in a file of another name: what follows belongs to another session."""
        with self._lock:
            lost = self.lost
            self._close()
            self._start()
            self.lost = lost

    def create_beside(self, suffix: str, flags: int) -> int | None:
        """Create `<stem><suffix>`, the user's alone; None when it can't be (said once)."""
        if self._refused:
            return None
        try:
            directory = open_directory(self._directory)
            try:
                return create_file(directory, f"{self.stem}{suffix}", flags)
            finally:
                os.close(directory)
        except OSError as error:
            # A full disk may have room again later; a directory that is not ours stays what it is.
            self._refused = error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
            warn_once(f"nothing can be written in {self._directory}, spans are lost, the program goes on", error)
            return None

    def replace_beside(self, suffix: str, data: bytes) -> None:
        """Replace `<stem><suffix>` as a whole, so that a reader sees the old or the new one. Raises OSError."""
        if self._refused:
            return
        directory = open_directory(self._directory)
        try:
            name, draft = f"{self.stem}{suffix}", f".{self.stem}{suffix}-{secrets.token_hex(4)}"
            descriptor = create_file(directory, draft, os.O_WRONLY)
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.unlink(draft, dir_fd=directory)
                raise
        finally:
            os.close(directory)

    def _open_next(self) -> int | None:
        self._close()
        if not self._has_room():
            return None
        suffix = f".{self._part}.jsonl" if self._part else ".jsonl"
        self._descriptor = self.create_beside(suffix, os.O_WRONLY | os.O_APPEND)
        if self._descriptor is not None:
            self._part += 1
            self._bytes = 0
        return self._descriptor

    def _has_room(self) -> bool:
        if self._refused or not (self._max_directory_bytes or self._keep_days):
            return not self._refused
        try:
            directory = open_directory(self._directory)
            try:
                left = clean_up(directory, self._max_directory_bytes, self._keep_days)
            finally:
                os.close(directory)
        except OSError:
            return True  # the directory itself is the trouble: creating the file will say it
        if self._max_directory_bytes and left >= self._max_directory_bytes:
            warn_once(f"{self._directory} is as large as it may get, spans are lost, the program goes on")
            return False
        return True

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _after_fork(self) -> None:
        # The parent's file stays the parent's; its lock may be held by a thread that does not exist here.
        self._lock = threading.RLock()
        self._close()
        self._start()
