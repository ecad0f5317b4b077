"""Result files: whole or not there, whoever else writes to the same place, and never instead of what is not ours."""

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.opened import readable

_PARTIAL = ".partial"
_SCRATCH = ".scratch"
_LONGEST_STEM = 200
"""Bytes of a name that its partial file has too: a name may have 255, and the rest of a partial file's takes 26."""
_OWNER_MAY = stat.S_IRUSR | stat.S_IWUSR
_ALL_MAY = 0o666


@contextmanager
def whole_file(path: str | os.PathLike[str], mode: int | None = None) -> Iterator[BinaryIO]:
    """Write a file that appears whole or not at all, with this mode (less the umask); by default as any new file.

    What is written goes to a file beside it, which takes the place of `path` at the end of the `with`, at once: a
    reader finds the old file or the new one, and so do two that write there at a time. After an exception nothing has
    changed. What processes that were killed left of such files is removed. A link at `path` is replaced, not followed.
    Raises OSError.
    """
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - that of Path may raise for odd names
    stem = _stem(name)
    partial = f"{stem}{secrets.token_hex(8)}{_PARTIAL}"
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove_leftovers(place, stem, _PARTIAL, _remove_unless_held)
        with _created(place, partial) as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), (_ALL_MAY if mode is None else mode) & ~_umask())
            os.fsync(file.fileno())
            os.replace(partial, name, src_dir_fd=place, dst_dir_fd=place)
        os.fsync(place)
    finally:
        # Its name is like no other one, so it is ours even where the signal came before `_created` had given it.
        with suppress(OSError):
            os.unlink(partial, dir_fd=place)
        os.close(place)


@contextmanager
def scratch_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder beside the file `path`, for what is needed on the way to it; it is gone at the end.

    What processes that were killed left of such folders is removed. Raises OSError.
    """
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - that of Path may raise for odd names
    stem = _stem(name)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove_leftovers(place, stem, _SCRATCH, _remove_folder_unless_held)
    finally:
        os.close(place)
    scratch = Path(folder, f"{stem}{secrets.token_hex(8)}{_SCRATCH}")
    scratch.mkdir(mode=0o700)
    held = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks, where leftovers stay
            fcntl.flock(held, fcntl.LOCK_EX)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(held)


def check_output(path: Path, is_ours: Callable[[Path], bool], *, force: bool = False) -> None:
    """Raise UsageError where a result cannot be written to `path`, or would take the place of what is not ours.

    `is_ours` tells whether a file that is there is an earlier result of the same kind; `force` replaces any file. A
    folder, a device or a link is never replaced. An empty file is nobody's.
    """
    name = readable(path)
    try:
        if not path.absolute().parent.is_dir():
            raise UsageError(f"cannot write {name}: there is no folder {readable(path.parent)}")
        status = path.lstat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {name}: {getattr(error, 'strerror', None) or error}") from error
    if path.is_dir():
        raise UsageError(f"{name} is a folder; name a file to write, like -o {readable(path / 'spans.parquet')}")
    if stat.S_ISLNK(status.st_mode):
        raise UsageError(f"{name} is a link, which is not followed: name the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{name} is not a regular file; name another one to write")
    if status.st_size and not force and not is_ours(path):
        raise UsageError(f"{name} is there, and is not what this command writes: name another file, or use --force")


def strictest_mode(paths: Iterable[str | os.PathLike[str]]) -> int:
    """Give the mode for what is made of these files: nobody but the owner may do with it what any of them forbids."""
    mode = _ALL_MAY
    for path in paths:
        with suppress(OSError):
            mode &= os.stat(path).st_mode  # noqa: PTH116 - a path may be no text
    return mode & _ALL_MAY | _OWNER_MAY


def _stem(name: str) -> str:
    """How the names of what is made on the way to a file begin."""
    return os.fsdecode(b".%s." % os.fsencode(name)[:_LONGEST_STEM])


@contextmanager
def _created(place: int, name: str) -> Iterator[BinaryIO]:
    """Create a file that nobody else has, locked so that others see that it is no leftover."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, _OWNER_MAY, dir_fd=place), "w+b") as file:
        with suppress(OSError):  # a file system without locks, where leftovers stay
            fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file.fileno()).st_nlink:
            raise OSError(f"{name} was taken for a leftover and removed; try again")
        yield file


def _remove_leftovers(place: int, stem: str, ending: str, remove: Callable[[int, str], None]) -> None:
    """Remove what is called so, and no process holds any more."""
    for name in os.listdir(place):
        if name.startswith(stem) and name.endswith(ending):
            with suppress(OSError):
                remove(place, name)


def _remove_unless_held(place: int, name: str) -> None:
    descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=place)
    finally:
        os.close(descriptor)


def _remove_folder_unless_held(place: int, name: str) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(name, ignore_errors=True, dir_fd=place)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
