"""Files opened by their paths: never anything but a regular file, and the same one until it is read."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def readable(path: str | os.PathLike[str]) -> str:
    """Give a path as text that can be written anywhere: bytes of it that are not UTF-8 as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file for reading and give its descriptor.

    Never waits, not even if a FIFO has taken the file's place since it was looked at. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return descriptor


def for_polars(path: str | os.PathLike[str]) -> str | bytes:
    """Give what polars can read a Parquet file by: its path, or its content if the path is not UTF-8.

    Raises OSError if it is not a regular file, or may not be read.
    """
    with open(open_regular(path), "rb") as file:
        absolute = os.path.abspath(path)  # noqa: PTH100 - a link keeps its name; polars takes `~` at the start for the home
        return absolute if readable(absolute) == absolute else file.read()


@contextmanager
def held_open(path: Path) -> Iterator[str | bytes]:
    """Give what polars can read a Parquet file by while it stays the one that it is, whatever is put in its place.

    Raises OSError if it is not a regular file, or may not be read.
    """
    descriptor = open_regular(path)
    try:
        held = f"/proc/self/fd/{descriptor}"
        yield held if os.path.exists(held) else for_polars(path)  # noqa: PTH110 - no path of a user
    finally:
        os.close(descriptor)


def whole_content(path: str | os.PathLike[str]) -> bytes:
    """Give all that is in a file, as it was at one moment.

    By a path, polars opens a file several times, and a merge may put another one in its place between two of them.
    Raises OSError if it is not a regular file, or may not be read.
    """
    with open(open_regular(path), "rb") as file:
        return file.read()
