"""What runs on a node of the cluster: find its span files, merge them there, remove them.

Ray brings this package there. Nothing of Ray is imported here, and polars only where files are read.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from raytrace_analyze.cluster.destination import Destination
from raytrace_analyze.model import Problem
from raytrace_analyze.values import frozen

HOOK_PLACES = ("raytrace-{uid}", "spans", "spans_file*.json")
"""Where hooks leave their files in the temporary folder: ours, Ray's own, the documentation's."""


@dataclass(frozen=True, order=True)
class FileState:
    """A file as it was when it was looked at: one that has the same state has the same content."""

    path: str
    size_bytes: int
    modified_ns: int
    inode: int
    """The same on all nodes that share a disk, so that a file on it is read once."""


@frozen
class Listing:
    """The span files of a node."""

    files: tuple[FileState, ...]
    unreadable: tuple[str, ...]
    """Folders and files that may not be opened."""


@frozen
class Part:
    """The spans of a node, merged."""

    table: bytes
    """Parquet, as `merge` writes it; empty where there was no whole span in the files."""
    spans: int
    problems: tuple[Problem, ...] = ()
    """What was damaged or lost, as `merge` tells it."""


def usual_places() -> list[Path]:
    """Give the files and folders in which hooks leave span files on this machine, those that are there."""
    named = [Path(folder)] if (folder := os.environ.get("RAYTRACE_DIR")) else []
    temporary = dict.fromkeys([Path("/tmp"), Path(tempfile.gettempdir())])
    patterns = [place.format(uid=os.getuid()) for place in HOOK_PLACES]
    found = [path for folder in temporary for pattern in patterns for path in sorted(folder.glob(pattern))]
    return [path for path in dict.fromkeys([*named, *found]) if _state(path) is not None]


def list_files(paths: Sequence[str] = ()) -> Listing:
    """Find the span files and side files among these paths, told by their content; by default in the usual places."""
    from raytrace_analyze.decode import find_span_files

    there = [path for path in map(Path, paths) if _state(path) is not None] if paths else usual_places()
    if not there:
        return Listing((), ())
    found = find_span_files(there)
    states = [state for file in found.files if (state := _state(file.path)) is not None]
    return Listing(tuple(sorted(states)), found.unreadable)


def merge_files(paths: Sequence[str], destination: Destination, name: str, keep: bool) -> Part:
    """Merge these files into one table, and bring it to the destination if this node reaches it."""
    part = _merged([path for path in paths if _state(path) is not None])
    return put(part, destination, name, keep=keep) if destination.is_shared else part


def put(part: Part, destination: Destination, name: str, *, keep: bool) -> Part:
    """Write a part to the destination, with what is there under its name if that is to be kept; gives it without bytes.

    Raises OSError where it cannot be written.
    """
    earlier = destination.read(name) if keep else None
    if earlier:
        part = joined([earlier, part.table])
    if part.table:
        destination.write(name, part.table)
    return replace(part, table=b"")


def joined(tables: Iterable[bytes]) -> Part:
    """Merge tables to one."""
    with tempfile.TemporaryDirectory(prefix="raytrace-join-") as folder:
        for number, table in enumerate(tables):
            Path(folder, f"{number}.parquet").write_bytes(table)
        return _merged([folder])


def _merged(paths: Sequence[str]) -> Part:
    from raytrace_analyze.errors import NoSpansError
    from raytrace_analyze.ingest.merging import merge_files, write_merged

    if not paths:
        return Part(b"", 0)
    with tempfile.TemporaryDirectory(prefix="raytrace-merge-") as folder:
        try:
            found = merge_files(list(map(Path, paths)), lambda: Path(folder), most_bytes=0, progress=lambda _: None)
        except NoSpansError:
            return Part(b"", 0)
        table = Path(folder, "table.parquet")
        write_merged(found, table)
        return Part(table.read_bytes(), found.report.spans, found.report.problems)


def remove_files(states: Sequence[FileState]) -> int:
    """Remove files that have not changed since and whose process has ended; gives how many went."""
    held = _held_open()
    of_living = {_process(state.path) for state in states if state.inode in held}
    removed = 0
    for state in states:
        if _state(state.path) == state and _process(state.path) not in of_living:
            with suppress(OSError):
                Path(state.path).unlink()
                removed += 1
    return removed


def _state(path: str | Path) -> FileState | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return FileState(str(path), status.st_size, status.st_mtime_ns, status.st_ino)


def _process(path: str) -> str:
    """Give what the files of one process have in common: their name up to the first dot, as hooks give it."""
    whole = Path(path)
    return str(whole.with_name(whole.name.lstrip(".").partition(".")[0]))


def _held_open() -> set[int]:
    """Give the inodes of the files that processes of this machine have open, of those that we may look into."""
    held: set[int] = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            held.add(descriptor.stat().st_ino)
    return held
