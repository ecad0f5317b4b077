"""The small value types that the layers hand to each other."""

from collections.abc import Callable
from dataclasses import field
from enum import StrEnum
from pathlib import Path

import polars as pl

from raytrace_analyze.values import frozen

Progress = Callable[[float], None]
"""Is told again and again which share (0 to 1) of a long piece of work is done."""


class Compression(StrEnum):
    """How a file is packed; told by its first bytes."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    ZIP = "zip"
    """A file in a zip archive, unpacked or not."""


@frozen
class Head:
    """The start of a file that is looked into, to tell what it holds."""

    content: bytes
    """Its first 64 KiB, unpacked; text in UTF-8."""
    path: str
    is_given: bool
    """Whether the user named this very file, so that an error in it is theirs to mend."""


@frozen
class InputFile:
    """A file that holds spans, found by its content."""

    path: Path
    format: str
    """The name of its `decode.input_format.InputFormat`; told by its content."""
    compression: Compression
    size_bytes: int
    """Its size on disk."""
    is_given: bool = True
    """Whether the user named this very file, so that one we cannot read is an error and no mere problem."""
    encoding: str = "utf-8"
    """What its text is written in; `utf-16` and the like are turned into UTF-8 as they are read."""
    archive: Path | None = None
    """Of a file in a zip archive, that archive; `path` is then its path with the file's name in it behind."""
    archived_bytes: int = 0
    """How many bytes it takes in that archive."""
    modified_ns: int = 0
    """When it was last written to, as the file system says."""


NOT_UTF8 = "not valid UTF-8; U+FFFD stands for it"
"""How the detail of a damaged record ends that is read all the same, but for bytes of a text in it."""


class ProblemKind(StrEnum):
    """What can be wrong with input that is read all the same."""

    CUT_RECORD = "cut record"
    """The last record has no end: the process was killed while writing. Nothing that had ended is lost."""
    DAMAGED_RECORD = "damaged record"
    UNREADABLE = "unreadable"
    CONFLICT = "conflicting copies"
    """Two records of one span that differ; the one that ended later is kept."""
    MISSING_PARENT = "missing parent"
    BACKWARDS = "set back clock"
    """Spans that end before they start; they are taken to end as they start."""
    LOST_SPANS = "lost spans"
    """Spans that the hook could not write when they ended, as it says itself."""
    FORGOTTEN_EVENTS = "forgotten task events"
    """Task attempts that Ray's head had dropped before the hook could save what it knew of them."""


@frozen
class Problem:
    """Something that was wrong with the input."""

    kind: ProblemKind
    path: str
    offset: int | None
    """Byte offset in the (decompressed) file, where there is one."""
    detail: str
    lost: int = 0
    """How many spans are LOST_SPANS, how many attempts FORGOTTEN_EVENTS, how many spans BACKWARDS."""
    places: int = 1
    """How many places of this kind it stands for."""

    @property
    def is_damage(self) -> bool:
        """Whether data was lost to it, so that the exit code has to say so."""
        return self.kind in (ProblemKind.DAMAGED_RECORD, ProblemKind.UNREADABLE)

    @property
    def changes_results(self) -> bool:
        """Whether everything that is computed from the input has to be read with it in mind."""
        return self.is_damage or self.kind is ProblemKind.BACKWARDS


@frozen
class Decoded:
    """What one file (or one stretch of a large one) gave."""

    frame: pl.DataFrame
    """Columns of `schema.DECODED`."""
    problems: tuple[Problem, ...] = ()


@frozen
class Discovery:
    """What a walk over the given paths found."""

    files: tuple[InputFile, ...]
    """Sorted by path; the same file reached twice (a link, a path given twice) is there once."""
    skipped: dict[str, int] = field(default_factory=dict)
    """How many other entries were passed over, by reason ("not spans", "empty", "not a regular file", ...)."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with files that are known to hold spans."""
    unreadable: tuple[str, ...] = ()
    """Folders and files that may not be opened, counted in `skipped` too: other people's, so no damage."""
