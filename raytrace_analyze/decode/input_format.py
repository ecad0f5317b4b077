"""What an input format is: how a file of it is recognised, and how it is decoded."""

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.batch import Batch
from raytrace_analyze.model import Decoded, Head, InputFile, Problem
from raytrace_analyze.values import frozen

ReadTaskEvents = Callable[[InputFile], tuple[pl.DataFrame, tuple[Problem, ...]]]


@frozen
class Parts:
    """How a large file that is not packed is decoded by several processes."""

    find_start: Callable[[bytes], int | None]
    """Where in some bytes from the midst of the file a record starts for certain; None: nowhere."""
    read: Callable[[InputFile, ProblemList, int, int | None], Iterable[Batch]]
    """Give the records from one such byte offset to another (None: to the end), and note what is wrong there."""


@frozen
class InputFormat:
    """One kind of file that `merge` reads. A module of `decode/` states it as `FORMAT`; `decode.formats` lists all.

    Whatever decodes never raises for bad content: that becomes problems. It has either `read` or `decode`,
    or it holds no spans.
    """

    name: str
    """What a user calls it."""
    recognise: Callable[[Head], bool]
    """Whether a file that starts like this is of this format; asked in the order of `decode.formats.FORMATS`."""
    read: Callable[[InputFile, ProblemList], Iterable[Batch]] | None = None
    """Give the records of the file batch by batch, and note what is wrong with it; small files of such a format are
    decoded several at a time."""
    decode: Callable[[InputFile], Iterator[Decoded]] | None = None
    """Give its spans as finished frames of `schema.DECODED`, for what does not consist of records."""
    parts: Parts | None = None
    """None: large files are decoded in one piece."""
    reads_columns: bool = False
    """Whether most of a large file is read as whole columns, for which several threads of one process do."""
    read_task_events: ReadTaskEvents | None = None
    """Give what it tells of task attempts, in columns of `decode.task_events.TASK_EVENTS`."""

    read_pieces: ReadTaskEvents | None = None
    """Give what it tells of task attempts piece by piece, in columns of `decode.event_pieces.PIECES`."""

    @property
    def holds_spans(self) -> bool:
        """Whether there are spans to be had from it."""
        return self.read is not None or self.decode is not None
