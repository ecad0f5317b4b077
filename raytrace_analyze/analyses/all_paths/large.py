"""The critical paths of all traces of a large table, window by window: so much memory as a window takes.

The same as of the table as a whole. What a window's figures hang on beyond it (see `queueing.beyond`) the windows tell
each other: each is looked at with what is known by then, and again at the end if that would make a difference.
"""

import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl

from raytrace_analyze.analyses.all_paths.apart import Named, are_apart, is_by_itself, tasks_named
from raytrace_analyze.analyses.all_paths.likely import likely_told
from raytrace_analyze.analyses.all_paths.plain import TOLD, are_plain, traces_in_plain
from raytrace_analyze.analyses.all_paths.question import Answer, Question
from raytrace_analyze.analyses.all_paths.rows_in_file import RowsInFile, read_from_file
from raytrace_analyze.analyses.all_paths.window_rows import WindowRows
from raytrace_analyze.analyses.all_paths.windows import MARGINS, Windows, cut_into_windows
from raytrace_analyze.analyses.evidence import evidence_in_file, without_parent
from raytrace_analyze.ingest.large_tables import ask_of
from raytrace_analyze.ingest.loading import Found
from raytrace_analyze.model import Progress
from raytrace_analyze.path.aggregate import ScopeTimes, check_sums, one_after_another, scope_times, sum_up
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.queueing.beyond import NOTHING_TOLD, Beyond, OutOfReachError, Told
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.options import Scopes

LARGE_ROWS = 500_000
"""Smaller tables are looked at as a whole: there is room for them."""
SCATTERED_ROWS = 2_000_000
"""The same where windows cannot be read out of the table's file, but are scattered to another one first."""
WINDOW_ROWS = 750_000
"""How many rows a window has, about."""

_SCATTERING = 0.2
"""The share of the work that putting rows into windows is."""


@frozen
class _Part:
    """What is found in a window."""

    times: ScopeTimes
    told: Told
    """What it tells of nodes and processes, and what was known of them when it was looked at."""
    known: Told
    named: Named
    orphans: pl.DataFrame


def paths_of_large(found: Found, question: Question, progress: Progress) -> Answer | None:
    """Sum up the critical paths of all traces of the one table that was found, as `aggregate_paths` does of all of it.

    None where there is another input than one large and sound table, and where the figures hang on more than what ran
    at the time. Raises UsageError for what cannot be asked.
    """
    check_sums(question.scopes, question.by, question.tail)
    if question.scopes != Scopes.TRACES:
        return None
    for margin in MARGINS:
        with suppress(OutOfReachError):
            return ask_of(found, LARGE_ROWS, partial(_answer, found, question, margin, progress), for_paths=True)
    return None


def _answer(
    found: Found, question: Question, margin: tuple[float, int], progress: Progress, table: pl.LazyFrame
) -> Answer | None:
    traces = traces_in_plain(table)
    if traces is None:
        return None
    windows = cut_into_windows(traces, WINDOW_ROWS, margin)
    if windows is None:
        return None
    rows = _rows_of(table, windows, progress)
    if rows is None:
        return None
    look = partial(_look, rows, windows, question)
    parts: list[_Part] = []
    told = NOTHING_TOLD
    likely = likely_told(table, windows.traces) if isinstance(rows, RowsInFile) else NOTHING_TOLD
    for number in range(len(windows.each)):
        part = look(number, likely | told)
        if part is None:
            return None
        told |= part.told
        parts.append(part)
        progress(_SCATTERING + (1 - _SCATTERING) * len(parts) / len(windows.each))
    if not are_apart([part.named for part in parts]):
        return None
    for number, part in enumerate(parts):
        if part.known.holds_more(told) or not part.told.sees_no_difference(part.known, told):
            again = look(number, told)
            assert again is not None
            parts[number] = replace(part, times=again.times)
    orphans = pl.concat([part.orphans for part in parts])
    return Answer(
        sum_up([one_after_another([part.times for part in parts])], by=question.by, tail=question.tail),
        *evidence_in_file(table, orphans, found),
    )


def _rows_of(table: pl.LazyFrame, windows: Windows, progress: Progress) -> WindowRows | RowsInFile | None:
    in_file = read_from_file(table, TOLD, windows) if "parent_place" in table.collect_schema() else None
    if in_file is None and windows.traces.get_column("rows").sum() < SCATTERED_ROWS:
        return None
    return in_file or WindowRows(table, TOLD, windows, lambda share: progress(_SCATTERING * share))


def _look(rows: WindowRows | RowsInFile, windows: Windows, question: Question, number: int, told: Told) -> _Part | None:
    """Look at a window; None where it is not told by itself."""
    window = windows.each[number]
    is_last = number == len(windows.each) - 1
    beyond = Beyond(
        told,
        complete_since=window.since if number else -sys.maxsize,
        complete_until=sys.maxsize if is_last else window.until,
        asked_since=window.asked_since,
    )
    spans, known = rows.window(number)
    if not are_plain(spans):
        return None
    trace = PreparedTrace(spans, question.clock_correct, beyond, known)
    del spans
    if not is_by_itself(trace):
        return None
    scopes = trace.scopes(question.scopes)
    numbers = np.arange(window.here, window.here + window.asked)
    names = windows.traces.get_column("trace_id").slice(window.first, window.asked)
    if not scopes.table.get_column("id").slice(window.here, window.asked).equals(names):
        return None
    asked = (scopes.of_row >= window.here) & (scopes.of_row < window.here + window.asked)
    named = tasks_named(trace, asked)
    if named is None:
        return None
    times = scope_times(trace, question.options, scopes=question.scopes, by=question.by, numbers=numbers)
    about = trace.rules.about
    lacks = trace.structure.lacks_parent & asked
    parent = np.where(lacks, -1, 0)
    return _Part(times, about.told, about.known_of_all, named, without_parent(trace.spans, parent))
