"""Records of one or several files, ready to become one frame."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import polars as pl

from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.columns import as_raw, build_frame, empty_frame, finished
from raytrace_analyze.decode.records.record import Record
from raytrace_analyze.model import Decoded
from raytrace_analyze.values import frozen

_WORTH_A_FRAME = 4096
"""So many records become a frame: to build one takes as long as to decode several hundred."""


@frozen
class Batch:
    """Records that were read from one file, one stretch of it at most."""

    records: Sequence[Record]
    source: str
    problems: ProblemList
    """Where to note what turns out to be wrong with a record."""
    offset_of: Callable[[int], int]
    """The byte offset of the record with this index."""
    raw: pl.DataFrame | None = None
    """In place of the records: their columns, as `columns.as_raw` gives them."""

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.records) if self.raw is None else self.raw.height


def frame_of(batches: Sequence[Batch]) -> pl.DataFrame:
    """Build one frame of `schema.DECODED` from all batches; a record without true ids and times is a problem.

    One frame for many small files, as building one takes as long as decoding several hundred spans.
    """
    raws = [batch.raw for batch in batches if batch.raw is not None]
    if len(batches) == 1 and raws:
        frame, left_out = finished(raws[0].with_columns(source=pl.lit(batches[0].source)))
    elif raws:
        filled = (batch for batch in batches if batch.raw is not None or batch.records)
        frame, left_out = finished(pl.concat(map(_raw_of, filled)))
    else:
        records = list(chain.from_iterable(batch.records for batch in batches))
        sources = list(chain.from_iterable([batch.source] * len(batch.records) for batch in batches))
        frame, left_out = build_frame(records, sources)
    indices = list(left_out)
    start = 0
    for batch in batches:
        end = start + batch.count
        for index in indices[bisect_left(indices, start) : bisect_left(indices, end)]:
            batch.problems.damage(batch.offset_of(index - start), 0, left_out[index])
        start = end
    return frame


def _enough(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Give as many batches together as a frame is worth; one alone that has its columns already."""
    together: list[Batch] = []
    count = 0
    for batch in batches:
        if together and (batch.raw is not None or count >= _WORTH_A_FRAME):
            yield together
            together, count = [], 0
        together.append(batch)
        count += batch.count if batch.raw is None else _WORTH_A_FRAME
    if together:
        yield together


def _raw_of(batch: Batch) -> pl.DataFrame:
    return (as_raw(batch.records) if batch.raw is None else batch.raw).with_columns(source=pl.lit(batch.source))


def decode_batches(batches: Iterable[Batch], problems: ProblemList) -> Iterator[Decoded]:
    """Give a frame for some batches as they come, and what was wrong up to there."""
    frame: pl.DataFrame | None = None
    for together in _enough(batches):
        if frame is not None:
            yield Decoded(frame, problems.take())
        frame = frame_of(together)
    rest = problems.finish()
    if frame is not None or rest:
        yield Decoded(empty_frame() if frame is None else frame, rest)
