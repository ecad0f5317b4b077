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
        self._started_ns = time.time_ns()
        self._lock = threading.RLock()
        self._descriptor: int | None = None
        self._refused = False
        self.lost = 0
        os.register_at_fork(after_in_child=self._after_fork)

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

    def _open(self) -> int | None:
        if self._refused:
            return None
        try:
            directory = open_directory(self._directory)
            try:
                self._descriptor = create_file(directory, f"{self._stem()}.jsonl")
            finally:
                os.close(directory)
        except OSError as error:
            self._refused = True
            warn_once(f"no span file can be made in {self._directory}, spans are lost, the program goes on", error)
        return self._descriptor

    def _stem(self) -> str:
        host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:64] or "host"
        return f"spans-{host}-{os.getpid()}-{self._started_ns}-{secrets.token_hex(4)}"

    def _after_fork(self) -> None:
        # The parent's file stays the parent's; its lock may be held by a thread that does not exist here.
        self._lock = threading.RLock()
        self._started_ns = time.time_ns()
        self.lost = 0
        descriptor, self._descriptor, self._refused = self._descriptor, None, False
        if descriptor is not None:
            os.close(descriptor)
