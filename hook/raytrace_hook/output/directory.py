"""The directory of the span files: the user's own, never reached through a link, and nobody else's to write in."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import Callable


class UnsafeDirectoryError(OSError):
    """The directory is somebody else's, or open to everybody, or a link; nothing is written there."""


class OpenFile:
    """A file that is open by one or more descriptors. They are closed once no thread holds this any more.

    A descriptor that is closed while a thread writes may be another file of the program's by then.
    """

    descriptors: tuple[int, ...] = ()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        for descriptor in self.descriptors:
            close(descriptor)


def open_directory(path: str) -> int:
    """Create `path` (0700) where it is missing and return a descriptor of it.

    Files are then opened relative to the descriptor, so that nobody can swap the directory between check and use.
    Raises UnsafeDirectoryError when it is a link, belongs to another user or may be written in by everybody, OSError
    when it can't be made.
    """
    path = os.path.abspath(path)  # without a slash at its end, which would follow a link
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    if stat.S_ISLNK(os.lstat(path).st_mode):
        raise UnsafeDirectoryError(f"{path} is a link")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        os.close(descriptor)
        raise UnsafeDirectoryError(f"{path} belongs to user {status.st_uid}")
    if status.st_mode & stat.S_IWOTH:
        os.close(descriptor)
        raise UnsafeDirectoryError(f"everybody may write in {path}: chmod o-w it")
    return descriptor


def create_file(directory: int, name: str, flags: int) -> int:
    """Create `name` in the open directory, the user's alone; it must not exist yet, not even as a link.

    It is locked, so that others see that somebody has it open (`is_in_use`), where the file system can lock.
    """
    created = os.open(name, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    with contextlib.suppress(OSError):
        fcntl.flock(created, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return created


def is_in_use(directory: int, name: str) -> bool:
    """Tell whether a process has this file open that made it, also one that can't be seen here: in another container.

    False where the file system can't tell. Raises OSError when the file can't be opened.
    """
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(opened)
    return False
