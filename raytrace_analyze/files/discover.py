"""Finds span files among whatever else lies in a folder: by what is in them, never by their names."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.archives import BrokenArchive, is_zip, members
from raytrace_analyze.files.encodings import UTF_8, encoding_of, in_utf_8
from raytrace_analyze.files.opened import open_regular, readable
from raytrace_analyze.files.starts import START_BYTES, Start, member_start, packed_start, starts, unpacked_start
from raytrace_analyze.files.streams import BrokenStream, compression_of
from raytrace_analyze.model import Compression, Discovery, Head, InputFile, Problem, ProblemKind

NOT_SPANS = "not spans"
EMPTY = "empty"
CANNOT_UNPACK = "cannot be unpacked"
NOT_REGULAR = "not a regular file"
FOLDER_LINK = "link to a folder"
PACKED_TABLES = "packed Parquet files"
VANISHED = "vanished"
UNREADABLE = "not readable"
NO_KIND = frozenset({NOT_SPANS, EMPTY, NOT_REGULAR, FOLDER_LINK, VANISHED})
"""Reasons to pass a file over that say nothing of what it holds, and that it holds no spans."""

_KINDS = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}

_PARQUET = b"PAR1"

_Key = tuple[int, int, str]
"""Device and inode of a file, and the name of one in it where it is an archive."""

Recognise = Callable[[Head], str | None]
"""Tells by the start of a file what it holds: the name of its format, None for none of ours."""

NameForeign = Callable[[bytes], str | None]
"""Tells by the start of a file that is none of ours what it is; None where that is not known."""


@dataclass(frozen=True, order=True)
class _Candidate:
    """A file to look into. Sorts so that of two ways to one file the more direct one comes first."""

    is_walked: bool
    is_link: bool
    path: str

    @property
    def is_given(self) -> bool:
        """Whether the user named this very file, so that an error in it is theirs to mend."""
        return not self.is_walked


@dataclass
class _Walk:
    """What a walk has come across so far."""

    name_foreign: NameForeign
    candidates: list[_Candidate] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def skip_unreadable(self, path: str) -> None:
        self.skipped[UNREADABLE] += 1
        self.unreadable.append(readable(path))


def _nameless(_: bytes) -> str | None:
    return None


def find_files(paths: Sequence[Path], recognise: Recognise, name_foreign: NameForeign = _nameless) -> Discovery:
    """Find the files that `recognise` knows among the given files and in the given folders, recursively.

    Looks at the first 64 KiB of every regular file, unpacked (of JSON that does not tell by then at 4 MiB); opens
    nothing else, and does not follow links to folders, except one that is given. Others are counted by what
    `name_foreign` calls them.

    Folders and files that may not be opened are normal among other people's (`Discovery.unreadable`,
    counted in `skipped` too) and no damage. Raises UsageError for a given path that does not exist or
    cannot be opened, and if nothing is given but pipes and the like.
    """
    walk = _Walk(name_foreign)
    modes = [_add_given(walk, path) for path in paths]
    if paths and not any(stat.S_ISDIR(mode) or stat.S_ISREG(mode) for mode in modes):
        what = _KINDS.get(stat.S_IFMT(modes[0]), "device")
        raise UsageError(f"{readable(paths[0])} is a {what}, not a file; write what it gives to a file, or pipe it: -")
    files: dict[_Key, InputFile | None] = {}
    for candidate in sorted(walk.candidates):
        _look_into(walk, candidate, recognise, files)
    found = (file for file in files.values() if file is not None)
    return Discovery(
        files=tuple(sorted(found, key=lambda file: str(file.path))),
        skipped=dict(sorted(walk.skipped.items())),
        problems=tuple(walk.problems),
        unreadable=tuple(sorted(walk.unreadable)),
    )


def _add_given(walk: _Walk, path: Path) -> int:
    """Note a path that the user named; gives its mode."""
    try:
        mode = path.stat().st_mode
        is_link = path.is_symlink()
        if stat.S_ISDIR(mode):
            os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        raise _cannot_open(path, error) from error
    except ValueError as error:  # a null byte in the path
        raise UsageError(f"{str(path)!r} is not a path: {error}") from error
    if stat.S_ISDIR(mode):
        _add_folder(walk, str(path))
    elif stat.S_ISREG(mode):
        walk.candidates.append(_Candidate(is_walked=False, is_link=is_link, path=str(path)))
    else:  # `merge /tmp/*` gives sockets and the like
        walk.skipped[NOT_REGULAR] += 1
    return mode


def _cannot_open(path: str | Path, error: OSError) -> UsageError:
    path = readable(path)
    if isinstance(error, FileNotFoundError):
        return UsageError(f"{path} does not exist")
    return UsageError(f"{path} cannot be opened: {error.strerror or error}")


def _add_folder(walk: _Walk, top: str) -> None:
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    _add_entry(walk, folders, entry)
        except FileNotFoundError:
            walk.skipped[VANISHED] += 1
        except OSError:
            walk.skip_unreadable(folder)


def _add_entry(walk: _Walk, folders: list[str], entry: os.DirEntry[str]) -> None:
    try:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
        elif entry.is_file(follow_symlinks=False):
            walk.candidates.append(_Candidate(is_walked=True, is_link=False, path=entry.path))
        elif not entry.is_symlink():
            walk.skipped[NOT_REGULAR] += 1
        elif entry.is_dir():
            walk.skipped[FOLDER_LINK] += 1
        elif entry.is_file():
            walk.candidates.append(_Candidate(is_walked=True, is_link=True, path=entry.path))
        else:
            walk.skipped[NOT_REGULAR] += 1
    except OSError:  # a link that leads round in a circle, or to where we may not go
        walk.skip_unreadable(entry.path)


def _look_into(walk: _Walk, candidate: _Candidate, recognise: Recognise, files: dict[_Key, InputFile | None]) -> None:
    """Open the file, and note under its (device, inode) what it is."""
    path = candidate.path
    try:
        descriptor = open_regular(path)
        try:
            _look_into_open(walk, candidate, recognise, files, descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        walk.skipped[VANISHED] += 1
    except BrokenArchive as error:
        walk.skipped[CANNOT_UNPACK] += 1
        if candidate.is_given:
            walk.problems.append(Problem(ProblemKind.UNREADABLE, readable(path), None, str(error)))
    except OSError as error:
        if candidate.is_given:
            raise _cannot_open(path, error) from error
        walk.skip_unreadable(path)


def _look_into_open(
    walk: _Walk, candidate: _Candidate, recognise: Recognise, files: dict[_Key, InputFile | None], descriptor: int
) -> None:
    path = candidate.path
    status = os.fstat(descriptor)
    key = (status.st_dev, status.st_ino, "")
    if key in files:
        return
    files[key] = None
    head = packed_start(descriptor, START_BYTES)
    if is_zip(head) and _look_into_archive(walk, candidate, recognise, files, key, descriptor):
        return
    compression = compression_of(head)
    start = partial(unpacked_start, descriptor, head)
    try:
        is_packed = compression is not Compression.NONE
        if is_packed and not candidate.is_given and start(START_BYTES).startswith(_PARQUET):
            walk.skipped[PACKED_TABLES] += 1
            return
        found = _recognised(walk, recognise, start, path, candidate.is_given)
    except BrokenStream as error:
        walk.skipped[CANNOT_UNPACK] += 1
        if candidate.is_given:
            detail = f"looks like {compression} and cannot be unpacked: {error.detail.partition(';')[0]}"
            walk.problems.append(Problem(ProblemKind.UNREADABLE, readable(path), None, detail))
        return
    if found is not None:
        format_, encoding = found
        files[key] = InputFile(
            Path(path),
            format_,
            compression,
            status.st_size,
            candidate.is_given,
            encoding,
            modified_ns=status.st_mtime_ns,
        )


def _recognised(walk: _Walk, recognise: Recognise, start: Start, path: str, is_given: bool) -> tuple[str, str] | None:
    """Give format and encoding of what starts like this; what is of no format is noted as skipped."""
    content = text = b""
    for content in starts(start):
        encoding = encoding_of(content)
        text = content if encoding == UTF_8 else b"".join(in_utf_8(iter([content]), encoding))
        format_ = recognise(Head(text, path, is_given))
        if format_ is not None:
            return format_, encoding
    walk.skipped[walk.name_foreign(text) or NOT_SPANS if content else EMPTY] += 1
    return None


def _look_into_archive(
    walk: _Walk,
    candidate: _Candidate,
    recognise: Recognise,
    files: dict[_Key, InputFile | None],
    key: _Key,
    descriptor: int,
) -> bool:
    """Note what each file in an archive is; tells whether there is any that can be read.

    A table of ours in one is not read: it has to lie in a file of its own.
    """
    archive = Path(candidate.path)
    is_any = False
    for member in members(descriptor, START_BYTES):
        is_any = True
        path = archive / member.name
        start = partial(member_start, member.start)
        try:
            is_table = start(START_BYTES).startswith(_PARQUET)
            if not path.is_relative_to(archive) or path == archive or is_table:
                walk.skipped[PACKED_TABLES if is_table else NOT_SPANS] += 1
                continue
            found = _recognised(walk, recognise, start, str(path), False)
        except BrokenStream:
            walk.skipped[CANNOT_UNPACK] += 1
            continue
        if found is not None:
            format_, encoding = found
            files[(*key[:2], member.name)] = InputFile(
                *(path, format_, Compression.ZIP, member.size_bytes, candidate.is_given, encoding, archive),
                archived_bytes=member.archived_bytes,
            )
    return is_any


def start_of(path: Path) -> bytes | None:
    """Give the first 64 KiB of a file, unpacked; None for what is no regular file, or cannot be read."""
    try:
        descriptor = open_regular(path)
        try:
            return unpacked_start(descriptor, packed_start(descriptor, START_BYTES), START_BYTES)
        finally:
            os.close(descriptor)
    except (OSError, BrokenStream):
        return None
