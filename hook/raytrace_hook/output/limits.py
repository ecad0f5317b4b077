"""Keeps the directory within its limits: how old files may get, and how much all of them may take."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from dataclasses import dataclass

from raytrace_hook.output.directory import is_in_use

_NAME = re.compile(r"\.?spans-(?P<host>\w+)-(?P<pid>\d+)-\d+-[0-9a-f]+(?:\.\d+)?\.(?:jsonl|open|events)(?:-[0-9a-f]+)?")
_DAY_S = 86400


@dataclass
class _Stem:
    """All files of one process (and session)."""

    names: list[str]
    bytes: int
    changed_s: float
    host: str
    pid: int


def clean_up(directory: int, max_bytes: int, keep_days: float) -> int:
    """Delete files of ours that are too old, then the oldest until the limit holds; returns the bytes that are left.

    Only files of processes that have ended are deleted, all of a process together; nothing that has another name.
    `directory` is an open descriptor; 0 means no limit.
    """
    stems = sorted(_stems(directory).values(), key=lambda stem: stem.changed_s)
    total = sum(stem.bytes for stem in stems)
    oldest_s = time.time() - keep_days * _DAY_S if keep_days else 0.0
    for stem in stems:
        too_many = bool(max_bytes) and total > max_bytes
        if (too_many or stem.changed_s < oldest_s) and not _may_run(stem, directory):
            for name in stem.names:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=directory)
            total -= stem.bytes
    return total


def _stems(directory: int) -> dict[str, _Stem]:
    found: dict[str, _Stem] = {}
    for entry in os.listdir(directory):
        match = _NAME.fullmatch(entry)
        if match is None:
            continue
        with contextlib.suppress(OSError):
            status = os.stat(entry, dir_fd=directory, follow_symlinks=False)
            stem = found.setdefault(
                entry.lstrip(".").split(".", 1)[0], _Stem([], 0, 0.0, match["host"], int(match["pid"]))
            )
            stem.names.append(entry)
            stem.bytes += status.st_size
            stem.changed_s = max(stem.changed_s, status.st_mtime)
    return found


def file_host() -> str:
    """Return this host's name as file names have it."""
    return re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname())[:64] or "host"


def _may_run(stem: _Stem, directory: int) -> bool:
    # The number says nothing of a process in another container, whose files have the same host's name perhaps: these
    # files it holds open. On the other hand not every file system can tell that.
    for name in stem.names:
        with contextlib.suppress(OSError):
            if is_in_use(directory, name):
                return True
    if stem.host != file_host():
        return time.time() - stem.changed_s < _DAY_S  # a shared directory: nobody here can tell
    try:
        os.kill(stem.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
