"""The segments of a path as lines of text, folded where there are many.

Segments are put together three times, each time those that follow each other: pieces of one thing are a step, steps of
one function or one loop are a line, and lines that are too short to be told are folded. Until then all is numbers;
words are made for what is shown.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.views.paths.segment_words import IS_RUNNING, because, loop_text, say, series_text
from raytrace_analyze.vocabulary.paths import Category

_SEVERAL = 2
"""From how many runs of one function, or submits, one after another, they are one line."""
_LONG = 100
"""What took more than this part of a path stands alone: it is no part of a loop."""
_SAID = ("function", "name", "pid", "on", "cause", "in_flight", "ended", "activity", "idle_in", "idle_at")
"""What the words of a span's own time are made of."""
_CATEGORIES = tuple(map(str, Category))
_ALONE, _SERIES, _LOOP, _FOLDED = range(4)


@frozen
class ChainLine:
    """One line of the chain: a segment, or several of them folded."""

    start_ns: int
    duration_ns: int
    category: str
    """Of a folded line, the category that took most of it."""
    text: str
    inferred: bool
    is_folded: bool = False


@frozen
class _Parts:
    """Parts of a path, oldest first: parallel arrays."""

    first: RowIds
    """The first segment of each."""
    duration: Nanos
    category: RowIds
    """The number of the category that took most of it."""
    inferred: Flags
    kind: RowIds
    """How it is told: alone, as a series, as a loop, or folded."""

    def joined(self, starts: RowIds, kind: RowIds) -> "_Parts":
        """Give parts of several of these each: from each of these positions to the next."""
        if starts.size == 0:
            return self
        spent = [np.add.reduceat(np.where(self.category == one, self.duration, 0), starts) for one in _numbers()]
        of_first = self.category[starts]
        # Of equals the first one's, as for what took no time.
        ranked = [2 * time + (of_first == one) for one, time in zip(_numbers(), spent, strict=True)]
        return _Parts(
            first=self.first[starts],
            duration=np.add.reduceat(self.duration, starts),
            category=np.argmax(ranked, axis=0),
            inferred=np.logical_or.reduceat(self.inferred, starts),
            kind=kind,
        )


def _numbers() -> range:
    return range(len(_CATEGORIES))


def chain_lines(segments: pl.DataFrame, top: int) -> list[ChainLine]:
    """Tell a path in about `top` lines, oldest first.

    A short path is told segment by segment. Of a long one, runs of one function that follow each other are one line, as
    are the turns of a loop that submits, and then the `top` longest lines stay and what lies between them is folded.
    Nothing is left out: the lines' durations add up to the makespan.

    Args:
        segments: the columns of `SEGMENTS`; `on` (the actor's name), `ended`, `missing` (`with_endings`) may be there.
        top: how many lines.
    """
    if segments.is_empty():
        return []
    steps = _steps(segments)
    if steps.first.size <= top:
        return list(_told(segments, steps))
    lines = _lines(segments, steps)
    if lines.first.size <= top:
        return list(_told(segments, lines))
    is_long = np.zeros(lines.first.size, dtype=np.bool_)
    is_long[np.argsort(-lines.duration, kind="stable")[:top]] = True
    starts = np.flatnonzero(is_long | np.append(True, is_long[:-1]))
    sizes = np.diff(starts, append=is_long.size)
    folded = lines.joined(starts, np.where(sizes > 1, _FOLDED, lines.kind[starts]))
    return list(_told(segments, folded, lines))


def _steps(segments: pl.DataFrame) -> _Parts:
    """Put the pieces of one wait in a queue together, and what a span does on both sides of what took no time."""
    category = segments.get_column("category").cast(pl.Enum(_CATEGORIES)).to_physical().to_numpy().astype(np.int64)
    is_queue, is_own = (pl.col("category") == one for one in (Category.QUEUE, Category.SELF))
    is_queue_on = is_queue & is_queue.shift(fill_value=False) & _as_before("via")
    said = [_as_before(column) for column in _SAID if column in segments.columns]
    is_own_on = is_own & is_own.shift(fill_value=False) & pl.all_horizontal(said)
    is_on = segments.select(_as_before("span_id") & (is_queue_on | is_own_on)).to_series().to_numpy()
    each = _Parts(
        first=np.arange(segments.height),
        duration=segments.get_column("duration_ns").to_numpy(),
        category=category,
        inferred=segments.get_column("inferred").to_numpy(),
        kind=np.full(segments.height, _ALONE),
    )
    starts = np.flatnonzero(~is_on)
    return each if starts.size == segments.height else each.joined(starts, np.full(starts.size, _ALONE))


def _as_before(column: str) -> pl.Expr:
    return pl.col(column).eq_missing(pl.col(column).shift())


def _lines(segments: pl.DataFrame, steps: _Parts) -> _Parts:
    """Put runs of one function that follow each other into one line each, and the turns of loops that submit."""
    told = segments.select("category", "function", "name", "span_id")[steps.first].with_row_index("step")
    told = told.with_columns(is_short=pl.Series(steps.duration * _LONG <= steps.duration.sum()))
    loop, in_loop = _loops(told)
    series, in_series = _series(told.with_columns(in_loop=pl.Series(in_loop)))
    kind = np.select([in_loop, in_series], [_LOOP, _SERIES], _ALONE)
    group = np.select([in_loop, in_series], [loop, series], -1)
    is_on = (kind[1:] != _ALONE) & (kind[1:] == kind[:-1]) & (group[1:] == group[:-1])
    starts = np.flatnonzero(~np.append(False, is_on))
    return steps.joined(starts, kind[starts])


def _loops(steps: pl.DataFrame) -> tuple[RowIds, Flags]:
    """Number what one span does and submits in turn; and tell the steps of those that submit several times."""
    is_submit, is_own = (pl.col("category") == one for one in (Category.SUBMIT, Category.SELF))
    spans = pl.when(is_own).then(pl.col("span_id").fill_null(""))
    found = (
        steps.lazy()
        .with_columns(may=(is_submit | is_own) & pl.col("is_short"), span=spans)
        .with_columns(stretch=pl.col("may").rle_id())
        .with_columns(span=pl.col("span").forward_fill().backward_fill().over("stretch"))
        .with_columns(loop=pl.struct("stretch", "span").rle_id().cast(pl.Int64))
        .with_columns(submits=is_submit.sum().over("loop"))
        .select("loop", is_one=pl.col("may") & (pl.col("submits") >= _SEVERAL))
        .collect()
    )
    return found.get_column("loop").to_numpy(), found.get_column("is_one").to_numpy()


def _series(steps: pl.DataFrame) -> tuple[RowIds, Flags]:
    """Number what follows each other of one function; and tell the steps of those that are several runs.

    What the first of them waited for in its queue is a step of its own.
    """
    may = (pl.col("function") != DRIVER) & (pl.col("category") != Category.SUBMIT) & ~pl.col("in_loop")
    leads = pl.col("step") == pl.col("step").first().over("series")
    found = (
        steps.lazy()
        .with_columns(may=may.fill_null(False))
        .with_columns(series=pl.struct("may", "function").rle_id().cast(pl.Int64))
        .with_columns(runs=pl.col("span_id").filter(IS_RUNNING).n_unique().over("series"))
        .select(
            "series",
            is_one=pl.col("may") & (pl.col("runs") >= _SEVERAL) & ~(leads & (pl.col("category") == Category.QUEUE)),
        )
        .collect()
    )
    return found.get_column("series").to_numpy(), found.get_column("is_one").to_numpy()


def _told(segments: pl.DataFrame, parts: _Parts, within: _Parts | None = None) -> Iterator[ChainLine]:
    """Say these parts; of folded ones how many lines `within` they are, and the longest of them."""
    starts = segments.get_column("start_ns").to_numpy()[parts.first]
    ends = np.append(parts.first[1:], segments.height)
    for number, (first, end) in enumerate(zip(parts.first.tolist(), ends.tolist(), strict=True)):
        kind = int(parts.kind[number])
        if within is not None and kind == _FOLDED:
            text = _folded_text(segments, within, first, end)
        else:
            text = _text(segments[first:end], kind)
        yield ChainLine(
            start_ns=int(starts[number]),
            duration_ns=int(parts.duration[number]),
            category=_CATEGORIES[parts.category[number]],
            text=text,
            inferred=bool(parts.inferred[number]),
            is_folded=kind == _FOLDED,
        )


def _folded_text(segments: pl.DataFrame, lines: _Parts, first: int, end: int) -> str:
    """Say what the lines between two segments are."""
    left, right = np.searchsorted(lines.first, [first, end]).tolist()
    longest = left + int(np.argmax(lines.duration[left:right]))
    until = int(lines.first[longest + 1]) if longest + 1 < lines.first.size else segments.height
    text = _text(segments[int(lines.first[longest]) : until], int(lines.kind[longest]))
    return f"... {right - left:,} short steps, the longest: {text}"


def _text(pieces: pl.DataFrame, kind: int) -> str:
    """Say one step (its pieces), one series or one loop."""
    if kind == _SERIES:
        return series_text(pieces)
    if kind == _LOOP:
        return loop_text(pieces)
    segment = pieces.row(0, named=True)
    if segment["category"] == Category.QUEUE:
        segment["cause"] = because(pieces.select("cause", "duration_ns").iter_rows())
    return say(segment)
