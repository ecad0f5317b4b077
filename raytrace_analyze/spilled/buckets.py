"""Decoded spans on disk, in buckets of whole traces, each small enough for memory."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.spilled.scattered import Scattered, Told, by_bucket
from raytrace_analyze.spilled.stored import putting_aside, store, stored
from raytrace_analyze.table.duplicates import deduplicate, has_copies

BUCKET_BYTES = 48 << 20
"""How large a bucket is in memory at most, about: what is made of one takes some five times that."""
_BUFFERED = 2
"""How many times as much as a bucket is kept in memory before it is written."""
_FEWEST, _MOST = 2, 1024


class Buckets(Scattered):
    """Spans (columns of `schema.DECODED`) by trace, in files of a folder."""

    def __init__(self, folder: Path, whole_bytes: int, bucket_bytes: int) -> None:
        """Make room for spans that take so much memory all together, about, and a bucket `bucket_bytes` of it."""
        with putting_aside():
            folder.mkdir()
        self._folder = folder
        self.count = min(max(math.ceil(whole_bytes / bucket_bytes), _FEWEST), _MOST)
        self._most_buffered_bytes = _BUFFERED * bucket_bytes
        self._buffer: list[pl.DataFrame] = []
        self._buffered_bytes = 0
        self._files: list[list[Path]] = [[] for _ in range(self.count)]
        self.records = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take spans in; they are on disk when `close` was called. Raises OSError."""
        self.records += frame.height
        self._buffer.append(frame)
        self._buffered_bytes += int(frame.estimated_size())
        if self._buffered_bytes > self._most_buffered_bytes:
            self.close()

    def close(self) -> None:
        """Write what is still in memory. Raises OSError."""
        if not self.records or not self._buffer:
            return
        spans = pl.concat(self._buffer)
        self._buffer, self._buffered_bytes = [], 0
        for number, part in by_bucket(spans, self.count):
            files = self._files[number]
            files.append(self._folder / f"{number}-{len(files)}.arrow")
            store(part, files[-1])

    def deduplicate(self) -> list[pl.DataFrame]:
        """Keep one record of each span; gives those whose copies contradict each other, bucket by bucket."""
        differing = []
        for files in self._files:
            identities = stored(files, ["trace_id", "span_id"])
            if identities is None or not has_copies(identities):
                continue
            spans, contradicting = deduplicate(_all(files))
            differing.append(contradicting)
            for file in files[1:]:
                file.unlink()
            del files[1:]
            store(spans, files[0])
        return differing

    def each(self, ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        """Give what `ask` tells of these columns of each bucket that is not empty; its rows are in no order."""
        for files in self._files:
            found = stored(files, list(columns))
            if found is not None:
                yield ask(found)


def _all(files: Sequence[Path]) -> pl.DataFrame:
    found = stored(files)
    assert found is not None
    return found
