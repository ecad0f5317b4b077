"""What a thread leaves to others of Ray's in `ray.put`: to copy a large object. It waits for no room then."""

from typing import NamedTuple

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import PUT_BYTES, told
from raytrace_analyze.table.lineage import RowIds, flags
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.vocabulary.spans import SpanCategory

_PUT = "ray._private.worker.put"
_NS_A_BYTE = 4
"""A byte is copied in less, however busy the machine: a put that took longer waited for room."""
_MOST_BYTES = 1 << 50


class Copy(NamedTuple):
    """A put that took no longer than copying what it puts may take; times in ns since the epoch."""

    start: int
    end: int


def is_in_put(call: str) -> bool:
    """Tell whether that in which a thread was idle is `ray.put`."""
    return call.startswith(_PUT)


def find_puts(structure: Structure) -> RowIds:
    """Give the rows of what was put into the object store."""
    return np.flatnonzero(flags(structure.spans.get_column("category") == SpanCategory.PUT))


def find_copies(structure: Structure, puts: RowIds, flow: RowIds) -> dict[int, list[Copy]]:
    """Give by flow those of its puts that do nothing but copy; `flow` is that of each put."""
    size = told(structure.spans.get_column("attributes").gather(puts), PUT_BYTES).cast(pl.Int64, strict=False)
    most = size.fill_null(0).clip(0, _MOST_BYTES).to_numpy() * _NS_A_BYTE
    start, end = structure.start[puts], structure.end[puts]
    copies = end - start <= most
    found: dict[int, list[Copy]] = {}
    for row, *times in zip(*(values[copies].tolist() for values in (flow, start, end)), strict=True):
        found.setdefault(row, []).append(Copy(*times))
    return found
