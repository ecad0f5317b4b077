"""JSON documents one after another, on a line each, over many lines, or glued: found in one pass, never twice."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from raytrace_analyze.decode.framed.cut_document import complete_part
from raytrace_analyze.decode.framed.lines import read_lines
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.record import NOT_AS_TYPED
from raytrace_analyze.files.streams import BrokenStream
from raytrace_analyze.model import NOT_UTF8, InputFile, ProblemKind

MAX_DOCUMENT_BYTES = 128 << 20
"""A document that does not end within this is passed over: memory stays bounded."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?')
"""A string (which cannot hold a raw line break; one that is cut counts as well, or each quote in it would be tried)."""

_BLANK = b" \t\r\n,\xef\xbb\xbf"
"""What may stand around documents; a byte order mark too."""

_NO_DOCUMENT = "not a JSON document"

_BETWEEN = re.compile("[ \\t\\r\\n,\\ufeff]*")
_DECODER = json.JSONDecoder()


def depth_change(line: bytes) -> int:
    """Tell how many more brackets of JSON a line opens than it closes."""
    bare = _STRING.sub(b"", line)  # in place of a list of all brackets, which takes many times the line's memory
    return bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")


def read_documents(
    file: InputFile, problems: ProblemList, start: bytes, records: frozenset[str] = frozenset()
) -> Iterator[tuple[int, Any]]:
    """Give each JSON value of the file with its byte offset; note what is damaged or cut.

    A line that begins with `start` begins a document, even where the one before it has not ended. Of a document that is
    damaged, cut or too large, the whole records at its beginning are given; `records` is as for `complete_part`.
    """
    lines: list[bytes] = []
    begin = size = depth = 0

    def ended(reason: str, kind: ProblemKind = ProblemKind.DAMAGED_RECORD) -> Iterator[tuple[int, Any]]:
        """Give what the lines hold, and note what of them is no document; a new one may begin."""
        nonlocal size, depth
        found = _decoded(b"".join(lines), records)
        if size > MAX_DOCUMENT_BYTES:
            problems.damage(begin + found.length, size - found.length, _too_large())
        elif not found.is_all and kind is ProblemKind.CUT_RECORD and not found.has_begun:
            problems.add(kind, begin, reason)
        elif not found.is_all:
            problems.damage(begin + found.length, size - found.length, reason)
        elif found.is_mended:
            problems.damage(begin, 1, NOT_UTF8)
        yield from ((begin, value) for value in found.values)
        lines.clear()
        size = depth = 0

    broken: BrokenStream | None = None
    try:
        for offset, line in read_lines(file, MAX_DOCUMENT_BYTES):
            if size and line.startswith(start):
                yield from ended("a document without an end")
            if not size:
                begin = offset
                text = line.strip(_BLANK)
                if not text:
                    continue
                if text[:1] not in b"{[" and depth_change(line) <= 0:  # to look closer takes long for very many
                    problems.damage(offset, len(line), _NO_DOCUMENT)
                    continue
                value = _sound(text) if len(line) <= MAX_DOCUMENT_BYTES else None
                if value is not None:
                    yield begin, value
                    continue
            lines.append(line[: max(MAX_DOCUMENT_BYTES - size, 0)])
            size += len(line)
            depth += depth_change(line)
            if depth <= 0:
                yield from ended(_NO_DOCUMENT)
    except BrokenStream as error:
        broken = error
    if size:
        yield from ended("the last document has no end", ProblemKind.CUT_RECORD)
    if broken is not None:
        problems.add(broken.kind, None, broken.detail)


def _too_large() -> str:
    return f"a document larger than {MAX_DOCUMENT_BYTES >> 20} MiB"


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _sound(text: bytes) -> Any:
    """Decode a document that has nothing wrong with it; None for any other."""
    try:
        return msgspec.json.decode(text) if _is_utf_8(text) else None
    except NOT_AS_TYPED:
        return None


class _Found(NamedTuple):
    values: list[Any]
    length: int
    """How many bytes they take, from the beginning."""
    is_all: bool
    has_begun: bool = False
    """Whether a record begins in what is no document."""
    is_mended: bool = False
    """Whether characters stand for bytes that are none."""


def _decoded(text: bytes, records: frozenset[str]) -> _Found:
    """Decode a document, or several with nothing but blanks between them; of the last one what has an end."""
    bare = text.strip(_BLANK)
    value = _sound(bare) if bare else None
    if value is not None:
        return _Found([value], len(text), is_all=True)
    values: list[Any] = []
    whole = bare.decode("utf-8", "replace")
    position, lead = 0, text.find(bare)

    def none_from(stop: int) -> _Found:
        kept = complete_part(whole[position:stop], records)
        mended = _sound(kept.text.encode()) if kept.text else None
        end = position if mended is None else position + kept.length
        return _Found(
            [*values, *([] if mended is None else [mended])], lead + len(whole[:end].encode()), False, kept.has_begun
        )

    try:
        while position < len(whole):
            value, end = _DECODER.raw_decode(whole, position)
            if not isinstance(value, dict | list):
                return none_from(position)
            values.append(value)
            position = _BETWEEN.match(whole, end).end()  # type: ignore[union-attr]  # matches nothing, too
    except json.JSONDecodeError as error:
        return none_from(error.pos)
    except (ValueError, RecursionError):
        return none_from(position)
    return _Found(values, len(text), is_all=True, is_mended=not _is_utf_8(bare))
