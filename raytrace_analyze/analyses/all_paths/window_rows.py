"""Rows of a table by window, in a file that nobody else sees and that is gone with the process."""

import tempfile
from collections.abc import Sequence

import polars as pl

from raytrace_analyze.analyses.all_paths.window import SHOWN_ONLY, WindowSpans, with_all_columns
from raytrace_analyze.analyses.all_paths.windows import Windows
from raytrace_analyze.model import Progress
from raytrace_analyze.names.path_attributes import asked_attributes
from raytrace_analyze.spilled.shelves import cut_up
from raytrace_analyze.spilled.stored import packed, putting_aside, unpacked
from raytrace_analyze.table.assemble import in_order

_ROWS = 8 << 16
"""How many rows are read at a time: whole groups of a file's rows."""


class WindowRows:
    """The rows of a table by window. Raises OSError where there is no room for them."""

    def __init__(self, table: pl.LazyFrame, columns: Sequence[str], windows: Windows, progress: Progress) -> None:
        """Read the table (these columns of it) a part at a time."""
        rows = int(windows.traces.get_column("rows").sum())
        with putting_aside():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this is there
        self._places: list[list[tuple[int, int]]] = [[] for _ in windows.each]
        told = table.select(name for name in columns if name not in SHOWN_ONLY)
        for first in range(0, rows, _ROWS):
            part = told.slice(first, _ROWS).collect()
            if "attributes" in part.columns:
                part = part.with_columns(asked_attributes(part.get_column("attributes")))
            self._put(part, windows.traces)
            progress(min((first + _ROWS) / rows, 1.0))

    def _put(self, part: pl.DataFrame, traces: pl.DataFrame) -> None:
        held = part.select("trace_id").join(traces, on="trace_id", how="left", maintain_order="left")
        first, last = held.get_column("first"), held.get_column("last")
        further = 0
        while True:
            for number, piece in cut_up(part, first + further):
                content = packed(piece)
                with putting_aside():
                    self._places[number].append((self._file.tell(), self._file.write(content)))
            further += 1
            more = first + further <= last
            if not more.any():
                return
            part, first, last = part.filter(more), first.filter(more), last.filter(more)

    def window(self, number: int) -> WindowSpans:
        """Give the rows of a window."""
        end = self._file.tell()
        pieces = []
        for place, size in self._places[number]:
            self._file.seek(place)
            pieces.append(self._file.read(size))
        self._file.seek(end)
        rows = unpacked(pieces)
        assert rows is not None
        del pieces
        found = [rows]
        del rows
        return WindowSpans(with_all_columns(in_order(found.pop())), None)
