"""Decoded spans on disk, in buckets of whole traces, each small enough for memory."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.stored import putting_aside, store, stored
from raytrace_analyze.table.assemble import in_order
from raytrace_analyze.table.checked import clamped
from raytrace_analyze.table.duplicates import deduplicate, has_copies
from raytrace_analyze.table.parts import distinct

BUCKET_BYTES = 48 << 20
"""How large a bucket is in memory, about, where there is no less: what is made of one takes some five times that."""
_BUFFERED = 2
"""How many times as much as a bucket is kept in memory before it is written."""
_FEWEST, _MOST = 2, 1024
_ORDER = ("trace_id", "span_id", "start")
_SEED = 7


class Buckets:
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
        """How many records were added."""

    def add(self, frame: pl.DataFrame) -> None:
        """Take spans in; they are on disk when `close` was called. Raises ScratchError."""
        self.records += frame.height
        self._buffer.append(frame)
        self._buffered_bytes += int(frame.estimated_size())
        if self._buffered_bytes > self._most_buffered_bytes:
            self.close()

    def close(self) -> None:
        """Write what is still in memory. Raises ScratchError."""
        if not self.records or not self._buffer:
            return
        spans = pl.concat(self._buffer).select(DECODED.names())
        self._buffer, self._buffered_bytes = [], 0
        bucket = spans.get_column("trace_id").hash(_SEED) % self.count
        for (number,), part in spans.group_by(bucket.alias("bucket")):
            files = self._files[int(number)]
            files.append(self._folder / f"{number}-{len(files)}.arrow")
            store(part, files[-1])

    def distinct(self, columns: Sequence[str]) -> pl.DataFrame:
        """Give what these columns of all the spans say, each line once."""
        self.close()
        found = [part.unique() for files in self._files if (part := stored(files, list(columns))) is not None]
        return distinct([DECODED.to_frame().select(columns), *found])

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

    def recorded(self, columns: Sequence[str] = DECODED.names()) -> Iterator[pl.DataFrame]:
        """Give the spans bucket by bucket, as they were recorded, with `start` in order of start, trace and id."""
        is_ordered = "start" in columns
        for files in self._files:
            found = stored(files, list(dict.fromkeys([*columns, *(_ORDER if is_ordered else ())])))
            if found is not None:
                yield in_order(found).select(columns) if is_ordered else found

    def parts(self, columns: Sequence[str] = DECODED.names()) -> Iterator[pl.DataFrame]:
        """Give the spans bucket by bucket as `recorded` does, with no end before its start."""
        for part in self.recorded(columns):
            yield clamped(part) if "end" in columns else part


def _all(files: Sequence[Path]) -> pl.DataFrame:
    found = stored(files)
    assert found is not None
    return found
