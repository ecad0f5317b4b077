"""What `merge` does: span files to one table, in memory or, where they are larger than that, by way of the disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from raytrace_analyze.decode import format_of
from raytrace_analyze.engines.local import decode_files
from raytrace_analyze.ingest.loading import Found, Ingested, find, load_found, read_events
from raytrace_analyze.ingest.report import IngestReport, nothing_in, report_of
from raytrace_analyze.model import Compression, InputFile, Problem, Progress
from raytrace_analyze.spilled.assembly import LargeTable, put_together
from raytrace_analyze.spilled.buckets import BUCKET_BYTES, BUFFERED, Buckets
from raytrace_analyze.spilled.ordered import Ordered, Ordering
from raytrace_analyze.spilled.scattered import Scattered
from raytrace_analyze.spilled.stored import putting_aside
from raytrace_analyze.table.assemble import write_table, write_table_parts
from raytrace_analyze.values import frozen

LARGEST_BYTES = 4 << 30
"""What is expected to take more memory than this is put together on disk, even where there is more memory."""

_UNPACKED_RATIO = {Compression.NONE: 1, Compression.GZIP: 16, Compression.ZSTD: 16, Compression.ZIP: 16}
"""How much larger span JSON is unpacked, about."""
_TABLE_RATIO = 12
"""How much larger the rows of a table are in memory than in its file, about."""
_FRAME_RATIO = 1.4
"""How much memory decoded spans take, for each byte of JSON."""
_WORK_RATIO = 1.8
"""How much memory a merge takes, for each byte of decoded spans."""
_BUCKET_SHARE = 1 / 40
"""How large a bucket of a merge on disk is, as a share of the memory that it may take."""
_SMALLEST_BUCKET_BYTES = 4 << 20
DECODED_SHARE = 0.5
"""The share of putting a table together from buckets that decoding takes."""


@frozen
class LargeIngested:
    """What was put together outside of memory: there as long as the folder, or the cluster, that it lies on."""

    table: LargeTable
    report: IngestReport
    inputs: tuple[InputFile, ...]
    change: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows
    """What is done to the rows as they are given."""

    def parts(self) -> Iterator[pl.DataFrame]:
        """Give the table (columns of `schema.TABLE`) part by part in the order of its file, once."""
        return map(self.change, self.table.parts())

    def changed(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> "LargeIngested":
        """Let something be done to its rows, each for itself."""
        before = self.change
        return replace(self, change=lambda rows: change(before(rows)))


def is_large(found: Found, most_bytes: int) -> bool:
    """Tell whether merging what was found in memory would take more than that much of it (0: no limit), about."""
    limit = min(most_bytes, LARGEST_BYTES) if most_bytes else LARGEST_BYTES
    return not found.is_one_table and frame_bytes(found.sources) * _WORK_RATIO > limit


def frame_bytes(files: Sequence[InputFile]) -> int:
    """Tell how much memory the spans of files take when they are decoded, about."""
    return int(_FRAME_RATIO * sum(file.size_bytes * _ratio(file) for file in files))


def _ratio(file: InputFile) -> int:
    return _UNPACKED_RATIO[file.compression] if format_of(file).read is not None else _TABLE_RATIO


def merge_files(
    paths: Sequence[Path], scratch: Callable[[], Path], *, most_bytes: int, progress: Progress
) -> Ingested | LargeIngested:
    """Read all span files among `paths` into one table, as `ingest.load` does.

    Where that would take more than `most_bytes` of memory (0: no limit), about, it is put together on disk, in the
    empty folder that `scratch` gives. Raises what `load` raises, ScratchError where that cannot be written to, and
    OSError where what is given cannot be read.
    """
    found = find(paths)
    if not is_large(found, most_bytes):
        return load_found(found, progress=progress)
    with putting_aside():
        folder = scratch()
    return merge_on_disk(found, folder, progress, most_bytes=most_bytes)


def _bucket_bytes(most_bytes: int) -> int:
    """Tell how large a bucket may be, that a merge takes no more than so much memory (0: no limit)."""
    if not most_bytes:
        return BUCKET_BYTES
    return min(BUCKET_BYTES, max(int(most_bytes * _BUCKET_SHARE), _SMALLEST_BUCKET_BYTES))


def merge_on_disk(found: Found, scratch: Path, progress: Progress, *, most_bytes: int = 0) -> LargeIngested:
    """Put the table of what was found together in the folder `scratch`; see `merge_files`."""
    bucket_bytes = _bucket_bytes(most_bytes)
    buckets = Buckets(scratch / "spans", frame_bytes(found.sources), bucket_bytes)
    problems: list[Problem] = []
    for decoded in decode_files(found.sources, progress=lambda share: progress(share * DECODED_SHARE)):
        buckets.add(decoded.frame)
        problems += decoded.problems
    place = partial(Ordered, buckets.parts, scratch / "rows", BUFFERED * bucket_bytes)
    return merge_buckets(found, buckets, problems, place, progress)


def merge_buckets(
    found: Found,
    buckets: Scattered,
    problems: Sequence[Problem],
    place: Callable[[Sequence[str]], Ordering],
    progress: Progress,
) -> LargeIngested:
    """Put the table of what was found together from buckets, which hold what its files gave; `problems` are theirs.

    `place` gives where the table goes (see `put_together`). Raises NoSpansError where there is no span, OSError where
    something cannot be written.
    """
    files = found.discovery.files
    made, events, lost = read_events(files, buckets.distinct(("session", "job_id", "node_id")))
    buckets.add(made)
    buckets.close()
    known = [*problems, *lost]
    if not buckets.records:
        raise nothing_in(found.paths, found.discovery, [*found.discovery.problems, *known])
    table = put_together(buckets, events, place, lambda share: progress(DECODED_SHARE + (1 - DECODED_SHARE) * share))
    report = report_of(table.totals, found.read, found.discovery, [*known, *table.noticed], buckets.records)
    return LargeIngested(table, report, files)


def write_merged(
    found: Ingested | LargeIngested, path: Path, *, mode: int | None = None, about: Mapping[str, str] | None = None
) -> None:
    """Write the table that was put together, as `table.assemble.write_table` does, with what was wrong with its input.

    Raises OSError where the place cannot be written.
    """
    problems = found.report.all_problems
    if isinstance(found, Ingested):
        write_table(found.spans, path, mode=mode, about=about, problems=problems)
    else:
        write_table_parts(found.parts, path, mode=mode, about=about, problems=problems)
