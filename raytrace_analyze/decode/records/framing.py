"""Where one record ends and the next begins, also in a file that is damaged."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from raytrace_analyze.decode.records.record import Record, record_of, skip_blank
from raytrace_analyze.model import NOT_UTF8
from raytrace_analyze.values import frozen

_MARKS = ((b"\n{", 1), (b"\n}{", 2), (b'}{"name"', 1))
r"""Bytes that a record starts in, and how far in.

A raw line break cannot stand inside a JSON string, and quotes inside one are escaped, so these cannot
be text. `\n{` can still be inside a record (in an indent of 0), which costs only time.
"""

_CANDIDATE = re.compile(r'\{\s*"(?:name|context|attributes)"\s*:')
"""How a record can start that is glued to something: the first key, as exported or sorted."""

_BAD_BYTE = re.compile("[\ud800-\udfff]")
_BAD_BYTES = re.compile("[\ud800-\udfff]+")
"""Bytes that are no UTF-8, as `surrogateescape` shows them."""

_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_CUT_TOKEN = re.compile(r"\.|[eE][+-]?|\\?u?[0-9a-fA-F]{0,4}")
"""What is left of a number or an escape at the place where Python's decoder gives up on it."""

_WINDOW = 4096
"""How many characters are decoded at first: an error takes as long as all the text that was handed over."""

_DEEPEST = 8 * _WINDOW
"""About how much is decoded before nesting is too deep."""

_LONGEST_TOKEN = 16
"""No error stands further than this from the character that is missing (a pair of escapes: 12)."""

_MOST_WORK = 32
"""How many times its length a stretch may be decoded in vain: unclosed nesting fails anew from each of its levels."""

_LEAST_BYTES = len('{"context":{"trace_id":"","span_id":""},"start_time":""}')

_SEPARATORS = " \t\r\n\ufeff[],"
"""What may stand around records without being damage: they may be the elements of an array."""


@frozen
class Found:
    """A span record, and the byte offset that it starts at."""

    offset: int
    record: Record


@frozen
class Damage:
    """Bytes that are no span record."""

    offset: int
    length: int
    reason: str


@frozen
class Unfinished:
    """The start of a record whose rest is not there (yet)."""

    offset: int


def is_too_short(data: bytes) -> bool:
    """Tell of less than the fields that a span has to have: looking through it takes long where there are many."""
    return len(data) < _LEAST_BYTES


def record_starts(data: bytes) -> list[int]:
    """Give the offsets where a record starts, as far as plain to see; 0 is always one of them."""
    starts = {0}
    for mark, distance in _MARKS:
        position = data.find(mark)
        while position >= 0:
            starts.add(position + distance)
            position = data.find(mark, position + 1)
    return sorted(starts)


def last_record_start(data: bytes) -> int:
    """Give the offset of the last record that starts in the data, 0 if there is none but the first."""
    last = 0
    for mark, distance in _MARKS:
        position = data.rfind(mark)
        if position >= 0:
            last = max(last, position + distance)
        if last > len(data) // 2:  # good enough, and spares searching through all of it for the rarer ones
            break
    return last


def scan(data: bytes) -> Iterator[Found | Damage | Unfinished]:
    """Find every whole span record, wherever it starts, and name the rest; exact, and slow.

    An Unfinished comes last if at all: from there on all bytes are the start of one record.
    """
    text = data.decode("utf-8", "surrogateescape")
    passed, offset = 0, 0
    for item in _scan_text(text):
        offset += _byte_length(text[passed : item.offset])
        passed = item.offset
        match item:
            case Found():
                yield Found(offset, item.record)
            case Damage():
                part = text[item.offset : item.offset + item.length]
                yield Damage(offset, _byte_length(part), item.reason)
            case Unfinished():
                yield Unfinished(offset)


def _byte_length(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _scan_text(text: str) -> Iterator[Found | Damage | Unfinished]:
    """As `scan`, with offsets in characters."""
    decode = json.JSONDecoder().raw_decode
    position = _skip_separators(text, 0)
    work = _MOST_WORK * len(text) + (1 << 20)
    damage_start: int | None = None
    unfinished: int | None = None
    reason = ""
    while position < len(text):
        record = None
        end = failed_at = -1
        try:
            if text[position] != "{":
                raise ValueError("no record starts here")
            end = _object_end(text, position, decode)
            record = record_of(*_in_unicode(text, position, end))
            reason = reason or ("" if record else "JSON, but not a span")
        except RecursionError:
            failed_at = position + _DEEPEST
            reason = reason or "nested too deeply"
        except _Cut:
            failed_at = len(text)
            reason = reason or "not a whole record"
            unfinished = position if unfinished is None else unfinished
        except ValueError:
            reason = reason or "not a whole record"
        if end < 0:
            end = _next_candidate(text, position + 1)
            work -= max(_WINDOW, failed_at - position)
            if work < 0:
                reason, end = "nested without end", len(text)
        if record is None:
            damage_start = position if damage_start is None else damage_start
        else:
            if damage_start is not None:
                yield Damage(damage_start, position - damage_start, reason)
            yield Found(position, record)
            yield from _bad_bytes(text, position, end)
            damage_start, unfinished, reason = None, None, ""
        position = skip_blank(text, end) if record is None else _skip_separators(text, end)
    if damage_start is not None:
        damage_end = len(text) if unfinished is None else unfinished
        if damage_end > damage_start:
            yield Damage(damage_start, damage_end - damage_start, reason)
    if unfinished is not None:
        yield Unfinished(unfinished)


def _in_unicode(text: str, start: int, end: int) -> tuple[str, int]:
    """Give the text and where the object in it starts, with U+FFFD for each byte of the object that is no UTF-8."""
    if _BAD_BYTE.search(text, start, end) is None:
        return text, start
    return _BAD_BYTE.sub("\N{REPLACEMENT CHARACTER}", text[start:end]), 0


def _bad_bytes(text: str, start: int, end: int) -> Iterator[Damage]:
    """Give the bytes of a record that are no UTF-8: they cost the field that they stand in, not the record."""
    for found in _BAD_BYTES.finditer(text, start, end):
        yield Damage(found.start(), len(found[0]), NOT_UTF8)


def _next_candidate(text: str, position: int) -> int:
    match = _CANDIDATE.search(text, position)
    return match.start() if match else len(text)


def _skip_separators(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SEPARATORS:
        position += 1
    return position


class _Cut(ValueError):
    """The text was right up to its end, and only more of it would be needed."""


def _object_end(text: str, start: int, decode: Callable[[str], tuple[Any, int]]) -> int:
    """Give the end of the JSON object that starts at `text[start]`; raises _Cut, or ValueError if it is none.

    Decodes no more of the text than it has to: half a record would else cost as much as all that follows it.
    """
    size = _WINDOW
    while True:
        window = text[start : start + size]
        is_all = start + size >= len(text)
        try:
            return start + decode(window)[1]
        except json.JSONDecodeError as error:
            is_cut = _is_cut(window, error)
            if is_all and is_cut:
                raise _Cut from error
            if is_all or not (is_cut or error.pos > len(window) - _LONGEST_TOKEN):
                raise
        size *= 4


def _is_cut(text: str, error: json.JSONDecodeError) -> bool:
    """Tell whether the text was right up to its end, and only more of it would be needed."""
    if error.msg.startswith("Unterminated string"):
        return True
    rest = text[error.pos :].rstrip()
    return any(literal.startswith(rest) for literal in _LITERALS) or bool(_CUT_TOKEN.fullmatch(rest))
