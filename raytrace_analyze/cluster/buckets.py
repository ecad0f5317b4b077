"""Decoded spans, and then the finished table, in pieces on the nodes of a cluster: what `spilled` has on disk.

Pieces lie in the object stores of the nodes that made them, which keep on disk what they have no room for. Ray makes
those again that are lost with a node: what makes them is a function of its arguments alone.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import polars as pl

from raytrace_analyze.cluster.tasks import Tasks
from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.ordered import Finished, Ordering, place_of
from raytrace_analyze.spilled.scattered import Question, Scattered, Told, as_parts, bucket_of
from raytrace_analyze.spilled.shelves import cut_up
from raytrace_analyze.spilled.stored import packed, unpacked
from raytrace_analyze.table.duplicates import deduplicate, has_copies
from raytrace_analyze.table.file.order import in_file_order

Piece = bytes | None
"""A packed frame; None where there are no rows."""

_AHEAD = 2
"""How many parts of the table, besides one a CPU, are put in order while earlier ones are read."""


class BucketsOnNodes(Scattered):
    """Spans (columns of `schema.DECODED`) by trace, on the nodes of a cluster."""

    def __init__(self, tasks: Tasks, count: int) -> None:
        """Make `count` buckets."""
        self._tasks = tasks
        self.count = count
        self.records = 0
        self.buckets: list[Any] = [None] * count
        """By bucket: a reference to a piece."""
        self._new: list[list[Any]] = [[] for _ in range(count)]
        self._differing: list[Any] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Take spans in that are here."""
        if frame.height:
            self.add_pieces([self._tasks.put(piece) for piece in in_buckets(frame, self.count)], frame.height)

    def add_pieces(self, pieces: Sequence[Any], records: int) -> None:
        """Take spans in that are on a node: a reference for each bucket, to a piece as `in_buckets` gives it."""
        self.records += records
        for new, piece in zip(self._new, pieces, strict=True):
            new.append(piece)

    def close(self) -> None:
        """Have in their buckets what was added so far, one record of each span."""
        for number, new in enumerate(self._new):
            if new:
                self.buckets[number], differing = self._tasks.call(_one_bucket, self.buckets[number], *new, returns=2)
                self._differing.append(differing)
                self._new[number] = []

    def deduplicate(self) -> list[pl.DataFrame]:
        """Give the spans whose copies contradict each other, bucket by bucket: there are no copies any more."""
        return [found for found in self._tasks.values(self._differing) if found is not None]

    def each(self, ask: Callable[[pl.DataFrame], Told], columns: Sequence[str]) -> Iterator[Told]:
        """Give what `ask` tells of these columns of each bucket that is not empty, where the bucket is."""
        question = self._tasks.put((ask, tuple(columns)))
        answers = [self._tasks.call(_answers, question, bucket) for bucket in self.buckets]
        for found in self._tasks.values(answers):
            yield from found


class OrderedOnNodes(Ordering):
    """A finished table on the nodes of a cluster, cut into parts."""

    def __init__(self, tasks: Tasks, buckets: BucketsOnNodes, cut_at: Sequence[str]) -> None:
        self._tasks = tasks
        self._buckets = buckets
        self._cut_at = cut_at
        self._pieces: list[list[Any]] = [[] for _ in range(len(cut_at) + 1)]

    def fill(self, finish: Callable[[pl.DataFrame], Finished[Told]]) -> Iterator[Told]:
        """Put all buckets, finished, in their places; gives what else is told of each."""
        question = self._tasks.put(as_parts(partial(_placed, finish=finish, cut_at=self._cut_at), DECODED.names()))
        told = []
        for bucket in self._buckets.buckets:
            first, *pieces = self._tasks.call(_finished, question, bucket, len(self), returns=1 + len(self))
            told.append(first)
            self._add(pieces)
        for found in self._tasks.values(told):
            yield from found

    def add(self, rows: pl.DataFrame, keys: pl.DataFrame) -> None:
        """Put rows that are of no bucket in their places."""
        self._add([self._tasks.put(piece) for piece in _in_places(rows, keys, self._cut_at)])

    def parts(self) -> Iterator[pl.DataFrame]:
        """Give the whole table in its order, a part at a time; what was given is gone."""
        waiting = deque(self._pieces)
        self._pieces = []
        coming: deque[Any] = deque()
        while waiting or coming:
            while waiting and len(coming) < self._tasks.cpus + _AHEAD:
                coming.append(self._tasks.call(_one_part, *waiting.popleft()))
            for piece in self._tasks.values([coming.popleft()]):
                if (found := _rows([piece])) is not None:
                    yield found

    def __len__(self) -> int:
        return len(self._cut_at) + 1

    def _add(self, pieces: Sequence[Any]) -> None:
        for of_part, piece in zip(self._pieces, pieces, strict=True):
            of_part.append(piece)


def in_buckets(spans: pl.DataFrame, count: int) -> list[Piece]:
    """Cut decoded spans by their traces: a piece for each of `count` buckets."""
    pieces: list[Piece] = [None] * count
    for number, part in cut_up(spans.select(DECODED.names()), bucket_of(spans, count)):
        pieces[number] = packed(part)
    return pieces


def _in_places(rows: pl.DataFrame, keys: pl.DataFrame, cut_at: Sequence[str]) -> list[Piece]:
    pieces: list[Piece] = [None] * (len(cut_at) + 1)
    for number, part in cut_up(rows, place_of(rows, keys, cut_at)):
        pieces[number] = packed(part)
    return pieces


def _rows(pieces: Sequence[Piece], columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    return unpacked([piece for piece in pieces if piece is not None], columns)


def _one_bucket(*pieces: Piece) -> tuple[Piece, pl.DataFrame | None]:
    spans, differing = _rows(pieces), None
    if spans is None:
        return None, None
    if has_copies(spans):
        spans, differing = deduplicate(spans)
    return packed(spans), differing


def _answers(question: Question[Told], bucket: Piece) -> tuple[Told, ...]:
    ask, columns = question
    found = _rows([bucket], columns)
    return () if found is None else (ask(found),)


def _placed(
    spans: pl.DataFrame, finish: Callable[[pl.DataFrame], Finished[Told]], cut_at: Sequence[str]
) -> tuple[Told, list[Piece]]:
    rows, keys, told = finish(spans)
    return told, _in_places(rows, keys, cut_at)


def _finished(question: Question[tuple[Told, list[Piece]]], bucket: Piece, count: int) -> list[Any]:
    """Give what is told of a bucket, nothing where it is empty, and a piece for each of `count` parts."""
    for told, pieces in _answers(question, bucket):
        return [(told,), *pieces]
    return [(), *[None] * count]


def _one_part(*pieces: Piece) -> Piece:
    rows = _rows(pieces)
    return None if rows is None else packed(in_file_order(rows))
