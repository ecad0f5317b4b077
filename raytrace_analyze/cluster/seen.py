"""Files that all nodes of a cluster see, under the paths that they have here."""

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.opened import readable
from raytrace_analyze.model import InputFile


@contextmanager
def seeing(files: Iterable[InputFile], folder: str) -> Iterator[None]:
    """Have `folder` as the working directory within this: paths of the files may be relative to it.

    Raises UsageError where a file is not what was found: it lies on another node's disk.
    """
    before = Path.cwd()
    try:
        with suppress(OSError):  # where it is needed and not there, the files are not seen either
            os.chdir(folder)
        _check_seen(files)
        yield
    finally:
        os.chdir(before)


def _check_seen(files: Iterable[InputFile]) -> None:
    for file in files:
        place = file.archive or file.path
        try:
            size_bytes = os.stat(place).st_size  # noqa: PTH116 - that of Path may raise for odd names
        except OSError:
            size_bytes = -1
        if size_bytes < (0 if file.archive else file.size_bytes):
            raise UsageError(
                f"{readable(place)} is not to be read on node {socket.gethostname()}: --engine ray reads what all "
                "nodes see; what lies on disks of their own `collect` brings together"
            )
