"""The directory of the span files: the user's own, never reached through a link."""

from __future__ import annotations

import contextlib
import os
import stat


class UnsafeDirectoryError(OSError):
    """The directory belongs to somebody else or is not a directory; nothing is written there."""


def open_directory(path: str) -> int:
    """Create `path` (0700) where it is missing and return a descriptor of it.

    Files are then opened relative to the descriptor, so that nobody can swap the directory between check and use.
    Raises UnsafeDirectoryError when it is a link or belongs to another user, OSError when it can't be made.
    """
    parent = os.path.dirname(os.path.abspath(path))
    os.makedirs(parent, mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    if stat.S_ISLNK(os.lstat(path).st_mode):
        raise UnsafeDirectoryError(f"{path} is a link")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    owner = os.fstat(descriptor).st_uid
    if owner != os.geteuid():
        os.close(descriptor)
        raise UnsafeDirectoryError(f"{path} belongs to user {owner}")
    return descriptor


def create_file(directory: int, name: str, flags: int) -> int:
    """Create `name` in the open directory, the user's alone; it must not exist yet, not even as a link."""
    return os.open(name, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
