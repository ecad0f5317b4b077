"""Cuts a table's traces into windows, one after another in time, each with all that ran at that time.

A window is asked about the traces that begin in it; it holds those, too, that ran while one of them did.
"""

import math

import numpy as np
import polars as pl

from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.values import frozen

MARGINS = ((0.05, 1_000_000_000), (0.5, 60_000_000_000))
"""For how long a window has what ran before the first trace that it is asked about: as a share of the time in which its
traces begin, and in ns, at most. The first is enough unless processes take long to start."""
_MOST_COPIES = 1.5
"""How many rows all windows may hold, for each row of the table: long traces are in many of them."""
_LARGEST = 3
"""How much larger than they should be windows may become by that."""


@frozen
class Window:
    """Some of a table's traces; times are ns since the epoch."""

    first: int
    """How many traces of the table, in order of start and id, are earlier than those that it is asked about."""
    here: int
    """How many of those it holds."""
    asked: int
    """How many traces it is asked about, those after these."""
    since: int
    """From when on it has all that ran."""
    until: int
    asked_since: int
    """When the first trace begins that it is asked about."""


@frozen
class Windows:
    """All windows of a table."""

    each: list[Window]
    traces: pl.DataFrame
    """By `trace_id`, in order of start and id: the numbers of the `first` and the `last` window that it is in, where it
    begins in the file (`at`, of its rows the first) and how many `rows` it has."""


def cut_into_windows(traces: pl.DataFrame, rows: int, margin: tuple[float, int]) -> Windows | None:
    """Make windows of about so many rows each; None where they would be much larger, or hold much more together.

    `traces` has `trace_id`, `start` and `end` (ns), how many `rows` are of the trace, and `at`, the first of them;
    `margin` is one of `MARGINS`.
    """
    ordered = traces.sort("start", "trace_id")
    start, end, sizes = (ordered.get_column(name).to_numpy() for name in ("start", "end", "rows"))
    before = np.cumsum(sizes) - sizes
    whole = int(sizes.sum())
    count = max(math.ceil(whole / rows), 1)
    # Some windows may have no traces of their own: one before has a large one.
    of_trace = np.unique(before * count // whole, return_inverse=True)[1]
    firsts = np.flatnonzero(np.diff(of_trace, prepend=-1))
    begins, until = start[firsts], np.maximum.accumulate(np.maximum.reduceat(end, firsts))
    since = begins - _margins(begins, start, *margin)
    first, last = np.searchsorted(until, start), np.searchsorted(since, end, side="right") - 1
    held = np.array([int(sizes[(first <= number) & (last >= number)].sum()) for number in range(firsts.size)])
    if held.sum() > _MOST_COPIES * whole or held.max() > _LARGEST * rows:
        return None
    bounds = np.append(firsts, start.size).tolist()
    each = [
        Window(
            first=bounds[number],
            here=int((last[: bounds[number]] >= number).sum()),
            asked=bounds[number + 1] - bounds[number],
            since=int(since[number]),
            until=int(until[number]),
            asked_since=int(begins[number]),
        )
        for number in range(firsts.size)
    ]
    numbers = {"first": pl.Series(first, dtype=pl.Int32), "last": pl.Series(last, dtype=pl.Int32)}
    return Windows(each, ordered.select("trace_id", "rows", "at").with_columns(**numbers))


def _margins(begins: Nanos, start: Nanos, share: float, most_ns: int) -> RowIds:
    lasts = np.diff(np.append(begins, start[-1]))
    margins: RowIds = np.minimum(most_ns, (lasts * share).astype(np.int64))
    return margins
