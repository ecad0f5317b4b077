"""Looks into the programs and logs of a folder for words that only a hook that does not work leaves there."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raytrace_analyze.files.opened import open_regular, readable

_LOOKED_INTO = (".py", ".log", ".out", ".err", ".txt")
_MOST_FILES = 10_000
_MOST_BYTES = 1 << 20
"""Of a file, so much of its beginning and of its end."""

_OLD_NAME = b"SimpleExportSpanProcessor"
_FAILURE = re.compile(
    rb"raytrace: ((?:tracing could not be set up|nothing is recorded on node|the program's tracer provider)"
    rb"[^\n]{0,300})"
)


@dataclass
class Told:
    """What was found, each with the files where."""

    old_hook: list[str] = field(default_factory=list)
    """Name a class that OpenTelemetry removed long ago: the hook of Ray's old documentation."""
    failures: dict[str, str] = field(default_factory=dict)
    """What the hook said, by its words, and the first file that has it."""
    files: int = 0


def look_into(paths: Sequence[Path]) -> Told:
    """Look into the programs and logs among these files and in these folders: 10,000 at most, 2 MiB of each."""
    told = Told()
    for path in _files(paths):
        if told.files >= _MOST_FILES:
            break
        content = _ends(path)
        told.files += 1
        if _OLD_NAME in content:
            told.old_hook.append(readable(path))
        for found in _FAILURE.finditer(content):
            told.failures.setdefault(found[1].decode("utf-8", "replace").strip(), readable(path))
    return told


def _files(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        if not path.is_dir():
            yield from [str(path)] if str(path).endswith(_LOOKED_INTO) else []
            continue
        for folder, _, names in os.walk(path):
            yield from (f"{folder}/{name}" for name in sorted(names) if name.endswith(_LOOKED_INTO))


def _ends(path: str) -> bytes:
    """Give the beginning and the end of a file; nothing of one that cannot be opened, or of a link."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return b""
        descriptor = open_regular(path)
    except OSError:
        return b""
    try:
        size = os.fstat(descriptor).st_size
        head = os.pread(descriptor, _MOST_BYTES, 0)
        rest = max(len(head), size - _MOST_BYTES)
        return head + os.pread(descriptor, _MOST_BYTES, rest)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
