"""Decoded spans on disk, in buckets of whole traces, each small enough for memory."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.own_texts import with_own_texts
from raytrace_analyze.spilled.scattered import Scattered, Told, bucket_of
from raytrace_analyze.spilled.shelves import Shelves
from raytrace_analyze.table.duplicates import deduplicate, has_copies

BUCKET_BYTES = 48 << 20
"""How large a bucket is in memory at most, about: what is made of one takes some five times that."""
BUFFERED = 4
"""How many times as much as a bucket is kept in memory before it is written."""
_FEWEST, _MOST = 2, 1024


class Buckets(Scattered):
    """Spans (columns of `schema.DECODED`) by trace, in files of a folder."""

    def __init__(self, folder: Path, whole_bytes: int, bucket_bytes: int) -> None:
        """Make room for spans that take so much memory all together, about, and a bucket `bucket_bytes` of it."""
        self.count = min(max(math.ceil(whole_bytes / bucket_bytes), _FEWEST), _MOST)
        self._spans = Shelves(folder, self.count, BUFFERED * bucket_bytes)
        self.records = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take spans in; they are on disk when `close` was called. Raises OSError."""
        self.records += frame.height
        self._spans.put(frame.select(DECODED.names()), bucket_of(frame, self.count))

    def close(self) -> None:
        """Write what is still in memory. Raises OSError."""
        self._spans.write()

    def deduplicate(self) -> list[pl.DataFrame]:
        """Keep one record of each span; gives those whose copies contradict each other, bucket by bucket."""
        differing = []
        for number in range(self.count):
            identities = self._get(number, ["trace_id", "span_id"])
            if identities is None or not has_copies(identities):
                continue
            spans = self._get(number)
            assert spans is not None
            once, contradicting = deduplicate(spans)
            differing.append(contradicting)
            self._spans.replace(number, once)
        return differing

    def each(self, ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        """Give what `ask` tells of these columns of each bucket that is not empty; its rows are in no order."""
        for number in range(self.count):
            found = self._get(number, columns)
            if found is not None:
                yield with_own_texts(ask(found), found)

    def _get(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
        """Read a bucket, which lies together from the first time on: it is read several times."""
        if self._spans.is_whole(number) or (spans := self._spans.get(number)) is None:
            return self._spans.get(number, columns)
        self._spans.replace(number, spans)
        return spans if columns is None else spans.select(columns)
