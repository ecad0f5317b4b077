"""The span file of a process: one line a span, one write a line, complete whenever the process dies."""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
import time

from raytrace_hook.directory import create_file, open_directory
from raytrace_hook.log import warn_once


class SpanFile:
    """Appends lines to a file of this process alone, which is created with the first line."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = threading.RLock()
        self._descriptor: int | None = None
        self._refused = False
        self._stem = self._new_stem()
        self.lost = 0
        os.register_at_fork(after_in_child=self._after_fork)

    @property
    def stem(self) -> str:
        """The name that all files of this process (and session) begin with."""
        return self._stem

    def write(self, line: bytes) -> bool:
        """Append one line with one write. Returns whether it is in the file."""
        with self._lock:
            descriptor = self._descriptor if self._descriptor is not None else self._open()
            if descriptor is None:
                self.lost += 1
                return False
            try:
                written = os.write(descriptor, line)
                if written == len(line):
                    return True
                # The disk filled up in the middle of the line: half a line would spoil the next one.
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                error: OSError | None = None
            except OSError as problem:
                error = problem
            self.lost += 1
        warn_once("spans can't be written and are lost, the program goes on", error)
        return False

    def start_anew(self) -> None:
        """Go on in a file of another name: what follows belongs to another session."""
        with self._lock:
            self._close()
            self._stem = self._new_stem()

    def create_beside(self, suffix: str, flags: int) -> int | None:
        """Create `<stem><suffix>`, the user's alone; None when it can't be (said once)."""
        if self._refused:
            return None
        try:
            directory = open_directory(self._directory)
            try:
                return create_file(directory, f"{self._stem}{suffix}", flags)
            finally:
                os.close(directory)
        except OSError as error:
            self._refused = True
            warn_once(f"nothing can be written in {self._directory}, spans are lost, the program goes on", error)
            return None

    def replace_beside(self, suffix: str, data: bytes) -> None:
        """Replace `<stem><suffix>` as a whole, so that a reader sees the old or the new one. Raises OSError."""
        directory = open_directory(self._directory)
        try:
            name, draft = f"{self._stem}{suffix}", f".{self._stem}{suffix}-{secrets.token_hex(4)}"
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

    def _open(self) -> int | None:
        self._descriptor = self.create_beside(".jsonl", os.O_WRONLY | os.O_APPEND)
        return self._descriptor

    def _new_stem(self) -> str:
        host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:64] or "host"
        return f"spans-{host}-{os.getpid()}-{time.time_ns()}-{secrets.token_hex(4)}"

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _after_fork(self) -> None:
        # The parent's file stays the parent's; its lock may be held by a thread that does not exist here.
        self._lock = threading.RLock()
        self.lost = 0
        self._refused = False
        self._close()
        self._stem = self._new_stem()
