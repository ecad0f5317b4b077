"""What waits asked for and did not get: those that timed out, or never ended."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from raytrace_analyze.attributes import AWAITED_TASK_IDS, TIMED_OUT, json_of
from raytrace_analyze.table.lineage import RowIds, flags
from raytrace_analyze.trace.span_arrays import Structure


def unanswered_runs(structure: Structure, waits: RowIds) -> tuple[RowIds, RowIds]:
    """Pair some waits (rows) with the runs of the tasks that they did not get in time."""
    texts = structure.spans.get_column("attributes").gather(waits)
    asking = waits[flags(texts.str.contains(AWAITED_TASK_IDS, literal=True))]
    if asking.size == 0:
        return asking, asking
    lists: list[list[str] | None] = [None] * structure.start.size
    for row, about in about_rows(structure, asking):
        asked = about.get(AWAITED_TASK_IDS)
        is_cut = about.get(TIMED_OUT) is True or structure.in_flight[row]
        if is_cut and isinstance(asked, list):
            lists[row] = [one for one in asked if isinstance(one, str)]
    return structure.runs_named(pl.Series(lists, dtype=pl.List(pl.String)))


def about_rows(structure: Structure, rows: RowIds) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give some rows, each with its attributes."""
    texts = structure.spans.get_column("attributes").gather(rows)
    for row, text in zip(rows.tolist(), texts, strict=True):
        yield row, json_of(text, {})
