"""The program's source, read only where the user trusts it: a span file may come from anybody, and name any path."""

import ast
import os
import stat
import warnings
from collections.abc import Sequence
from os import PathLike

from raytrace_analyze.advice.program.dataflow import Program
from raytrace_analyze.vocabulary.advice import NotRead
from raytrace_analyze.wording.phrases import at_line

LARGEST_SOURCE = 2_000_000
"""Bytes of a file that is read."""
_ALL_SOURCE = 20_000_000
"""Bytes of all files together, as the tree of a file takes a hundred times as much memory."""
_DEEPEST = 400
"""How deep a program's tree may be: what looks at it is recursive."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def place_of(text: str) -> tuple[str, int]:
    """Give the file and the line of `file:line`; line 0 where there is none."""
    file, _, line = text.rpartition(":") if ":" in text else (text, "", "")
    return file, int(line) if line.isascii() and line.isdigit() and len(line) < 10 else 0


def first_place(site: str | None) -> str | None:
    """Give the innermost `file:line` of a call site as `raytrace.call_site` has it; None where that is not known."""
    if not site:
        return None
    return at_line(*place_of(site.splitlines()[0]))


class SourceFiles:
    """Reads programs below some folders: regular files, reached without a link that leads out of them."""

    def __init__(self, roots: Sequence[str | PathLike[str]]) -> None:
        """Trust these folders."""
        # A folder has two names where a link leads to it; spans may tell either.
        self._roots = [(os.path.abspath(root), os.path.realpath(root)) for root in roots]  # noqa: PTH100
        self._read: dict[str, tuple[Program | None, int]] = {}
        self._bytes_left = _ALL_SOURCE
        self.not_read: dict[str, NotRead] = {}
        """What was asked for in vain, and why."""

    def program(self, file: str) -> tuple[Program | None, int]:
        """Read a source file; None for what may not be read or is none.

        Also tells when it was changed last, in ns since the epoch.
        """
        if file not in self._read:
            found = self._program(file)
            if isinstance(found, NotRead):
                self.not_read[file] = found
            self._read[file] = (None, 0) if isinstance(found, NotRead) else found
        return self._read[file]

    def _program(self, file: str) -> tuple[Program, int] | NotRead:
        content = self._content(file)
        if isinstance(content, NotRead):
            return content
        text, changed_at_ns = content
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the program's own oddities
                tree = ast.parse(text)
            return (Program(tree), changed_at_ns) if _is_shallow(tree) else NotRead.TOO_LARGE
        except (SyntaxError, ValueError):
            return NotRead.NO_PROGRAM
        except (RecursionError, MemoryError):  # how the parser tells of nesting that is too deep
            return NotRead.TOO_LARGE

    def _content(self, file: str) -> tuple[bytes, int] | NotRead:
        try:
            descriptor = self._open(file)
            if descriptor is None:
                return NotRead.OUTSIDE
            try:
                about = os.fstat(descriptor)
                if not stat.S_ISREG(about.st_mode):
                    return NotRead.MISSING
                if about.st_size > min(LARGEST_SOURCE, self._bytes_left):
                    return NotRead.TOO_LARGE
                content = os.read(descriptor, about.st_size)
            finally:
                os.close(descriptor)
        except (OSError, ValueError):
            return NotRead.MISSING
        self._bytes_left -= len(content)
        return content, about.st_mtime_ns

    def _open(self, file: str) -> int | None:
        """Open a file below one of the roots; None for one that is not."""
        if not file.startswith("/"):
            return None
        path = os.path.normpath(file)
        for given, real in self._roots:
            for root in (given, real):
                if (below := _below(path, root)) is not None:
                    try:
                        return _open_below(real, below)
                    except OSError:
                        # Maybe a link: one of the user's own, as it is in a folder of theirs, but where does it lead?
                        actual = _below(os.path.realpath(os.path.join(real, below)), real)  # noqa: PTH118
                        return None if actual is None else _open_below(real, actual)
        return None


def _below(path: str, root: str) -> str | None:
    return os.path.relpath(path, root) if path.startswith(root.rstrip("/") + "/") else None


def _open_below(root: str, path: str) -> int:
    """Open a file step by step, so that no link is followed, not even one that comes to be meanwhile."""
    *folders, name = path.split("/")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in folders:
            inner = os.open(step, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(name, _FILE, dir_fd=folder)
    finally:
        os.close(folder)


def _is_shallow(tree: ast.AST) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False
