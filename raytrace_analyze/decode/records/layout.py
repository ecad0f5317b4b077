"""How a record is laid out: its literal parts, and the places between them in which records of a process differ."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any

import msgspec
import polars as pl

from raytrace_analyze.decode.records.columns import ATTRIBUTE_COLUMNS, ATTRIBUTE_SCHEMA
from raytrace_analyze.decode.records.record import NOT_AS_TYPED, Record, members
from raytrace_analyze.values import frozen

_LONG_ID = re.compile(rb"(?:0x)?[0-9a-f]{8,}")
_TIME = re.compile(rb"\d{4}-\d\d-\d\d.[0-9:.]+Z?")


class Slot(Enum):
    """What stands in a place whose length differs."""

    TEXT = auto()
    """A string."""
    NUMBER = auto()
    """An integer of at least 0."""
    LIST = auto()
    """A list of strings, or one of integers; its brackets are no part of it."""


@frozen
class Fixed:
    """A string of one width in all records: an id, a time."""

    start: int
    width: int
    name: str | None
    """The column of `columns.as_raw` that it becomes; None where only its text is wanted."""


@frozen
class Run:
    """A stretch of a record that has one length in all of them, and the place that follows it."""

    text: bytes
    """As the example has it."""
    fixed: tuple[Fixed, ...]
    """Where records differ in it; all else is literal."""
    slot: Slot | None
    """None: the record ends here."""
    name: str | None
    """The column that the place becomes."""

    @cached_property
    def mask(self) -> bytes:
        """255 for each character that is literal, 0 for the others."""
        mask = bytearray(b"\xff" * len(self.text))
        for place in self.fixed:
            mask[place.start : place.start + place.width] = bytes(place.width)
        return bytes(mask)

    @cached_property
    def literal(self) -> bytes:
        """What is literal in it."""
        ends = [0, *(place.start + place.width for place in self.fixed)]
        starts = [*(place.start for place in self.fixed), len(self.text)]
        return b"".join(self.text[end:start] for end, start in zip(ends, starts, strict=True))

    @cached_property
    def last(self) -> bytes:
        """The literal that it ends with."""
        begin = max((place.start + place.width for place in self.fixed), default=0)
        return self.text[begin:]


@dataclass(frozen=True, eq=False)
class Layout:
    """How a record is laid out, told from one as an example.

    A record with the same literals, and values of the same kinds in its places, is sound JSON as the example is.
    """

    runs: tuple[Run, ...]
    attributes: tuple[int, int]
    """The run in which the attributes' text begins, and how far in it."""
    after_attributes: tuple[int, int]
    """The same of where it ends."""
    example: Record
    """The example, for all that is the same in all records."""

    @cached_property
    def literals(self) -> bytes:
        """All literals."""
        return b"".join(run.literal for run in self.runs)


def layouts_of(texts: Sequence[bytes]) -> list[Layout]:
    """Tell how records are laid out, of which these are the texts (ASCII) with their line breaks.

    The commonest comes first. A record gives none that is no span, has a key twice, or has a value of another type than
    hooks write.
    """
    alike: dict[tuple[bytes, ...], list[_Outline]] = {}
    for text in texts:
        outline = _outline(text)
        if outline is not None:
            alike.setdefault(outline.literals, []).append(outline)
    return [_layout(outlines) for outlines in sorted(alike.values(), key=len, reverse=True)]


@frozen
class _Place:
    start: int
    end: int
    name: str | None
    slot: Slot


@frozen
class _Outline:
    """A record, and where others like it may differ."""

    text: bytes
    places: list[_Place]
    attributes: tuple[int, int]
    """Where the text of its attributes starts and ends."""
    record: Record

    @property
    def literals(self) -> tuple[bytes, ...]:
        """What stands between the places."""
        ends = [0, *(place.end for place in self.places)]
        starts = [*(place.start for place in self.places), len(self.text)]
        return tuple(self.text[end:start] for end, start in zip(ends, starts, strict=True))

    def values(self) -> list[bytes]:
        """Give what stands in the places."""
        return [self.text[place.start : place.end] for place in self.places]


def _outline(text: bytes) -> _Outline | None:
    try:
        record = _decoder.decode(text)
        decoded = text.decode("ascii")
        places = sorted(_places(decoded), key=lambda place: place.start)
        attributes = next((start, end) for key, value, start, end in members(decoded, 0) if _is_attributes(key, value))
    except (*NOT_AS_TYPED, StopIteration, _NotAlike):
        return None
    return _Outline(text, places, attributes, record)


def _is_attributes(key: str, value: Any) -> bool:
    return key == "attributes" and isinstance(value, dict)


_decoder = msgspec.json.Decoder(Record)


class _NotAlike(ValueError):
    """A record that no other is taken to be like."""


def _places(text: str) -> Iterator[_Place]:
    for key, value, start, end in _once(text, 0):
        if key == "context":
            if not isinstance(value, dict):
                raise _NotAlike
            for inner, one, begin, stop in _once(text, start):
                if inner in ("trace_id", "span_id"):
                    yield _place(inner, one, begin, stop, text)
        elif key in ("name", "parent_id", "start_time", "end_time"):
            if value is not None:
                yield _place(key, value, start, end, text)
        elif key == "attributes":
            for inner, one, begin, stop in _once(text, start) if isinstance(value, dict) else ():
                if _is_place(one, text[begin:stop]):
                    yield _place(ATTRIBUTE_COLUMNS.get(inner), one, begin, stop, text)


def _once(text: str, start: int) -> Iterator[tuple[str, Any, int, int]]:
    keys: set[str] = set()
    for key, value, begin, end in members(text, start):
        if key in keys:
            raise _NotAlike
        keys.add(key)
        yield key, value, begin, end


def _is_place(value: Any, text: str) -> bool:
    """Tell whether the value may be another in each record; else it is taken for a literal."""
    if "\\" in text or isinstance(value, bool | None):
        return False
    if isinstance(value, int):
        return value >= 0
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value) or all(_is_integer(one) for one in value)
    return isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _place(name: str | None, value: Any, start: int, end: int, text: str) -> _Place:
    """Name the place of a value; raises _NotAlike for a type that its column would have to be coerced from."""
    wanted = ATTRIBUTE_SCHEMA.get(name or "", pl.String)
    if isinstance(value, str) and wanted == pl.String and "\\" not in text[start:end]:
        return _Place(start + 1, end - 1, name, Slot.TEXT)
    is_texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    if isinstance(value, list) and (name is None or (is_texts and wanted == pl.List(pl.String))):
        return _Place(start + 1, end - 1, name, Slot.LIST)
    if _is_integer(value) and (name is None or wanted == pl.Int32):
        return _Place(start, end, name, Slot.NUMBER)
    raise _NotAlike


def _layout(alike: Sequence[_Outline]) -> Layout:
    """Put together records whose literals are the same: a value that all of them have is literal as well."""
    first = alike[0]
    text = first.text
    runs: list[Run] = []
    starts: list[int] = []
    fixed: list[Fixed] = []
    position = 0
    for place, values in zip(first.places, zip(*(one.values() for one in alike), strict=True), strict=True):
        if len(alike) > 1 and len(set(values)) == 1:
            continue
        if place.slot is Slot.TEXT and _is_of_one_width(values):
            fixed.append(Fixed(place.start - position, place.end - place.start, place.name))
            continue
        runs.append(Run(text[position : place.start], tuple(fixed), place.slot, place.name))
        starts.append(position)
        fixed, position = [], place.end
    runs.append(Run(text[position:], tuple(fixed), None, None))
    starts.append(position)
    begin, after = (bisect_right(starts, offset) - 1 for offset in first.attributes)
    bounds = first.attributes[0] - starts[begin], first.attributes[1] - starts[after]
    return Layout(tuple(runs), (begin, bounds[0]), (after, bounds[1]), first.record)


def _is_of_one_width(values: Sequence[bytes]) -> bool:
    is_like_one = all(_LONG_ID.fullmatch(value) or _TIME.fullmatch(value) for value in values)
    return is_like_one and len({*map(len, values)}) == 1
