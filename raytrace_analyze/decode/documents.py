"""JSON documents one after another, on a line each, over many lines, or glued: found in one pass, never twice."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from raytrace_analyze.decode.lines import read_lines
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.record import NOT_AS_TYPED
from raytrace_analyze.files.streams import BrokenStream
from raytrace_analyze.model import InputFile, ProblemKind

MAX_DOCUMENT_BYTES = 128 << 20
"""A document that does not end within this is passed over: memory stays bounded."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?')
"""A string (which cannot hold a raw line break; one that is cut counts as well, or each quote in it would be tried)."""

_BLANK = b" \t\r\n,\xef\xbb\xbf"
"""What may stand around documents; a byte order mark too."""

_BETWEEN = re.compile("[ \\t\\r\\n,\\ufeff]*")
_DECODER = json.JSONDecoder()


def depth_change(line: bytes) -> int:
    """Tell how many more brackets of JSON a line opens than it closes."""
    bare = _STRING.sub(b"", line)  # in place of a list of all brackets, which takes many times the line's memory
    return bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")


def read_documents(file: InputFile, problems: ProblemList, start: bytes) -> Iterator[tuple[int, Any]]:
    """Give each JSON value of the file with its byte offset; note what is damaged or cut.

    A line that begins with `start` begins a document, even where the one before it has not ended.
    """
    lines: list[bytes] = []
    begin = size = depth = 0

    def close(kind: ProblemKind, reason: str) -> None:
        if not size:
            return
        if kind is ProblemKind.DAMAGED_RECORD:
            problems.damage(begin, size, reason)
        else:
            problems.add(kind, begin, reason)

    try:
        for offset, line in read_lines(file, MAX_DOCUMENT_BYTES):
            if size and line.startswith(start):
                close(ProblemKind.DAMAGED_RECORD, _why(size, "a document without an end"))
                lines, size, depth = [], 0, 0
            if not size:
                begin = offset
                text = line.strip(_BLANK)
                if not text:
                    continue
                value = _sound(text) if len(line) <= MAX_DOCUMENT_BYTES else None
                if value is not None:
                    yield begin, value
                    continue
            size += len(line)
            if size <= MAX_DOCUMENT_BYTES:
                lines.append(line)
            depth += depth_change(line)
            if depth > 0:
                continue
            text = b"".join(lines).strip(_BLANK) if size <= MAX_DOCUMENT_BYTES else b""
            values, is_all = _decoded(text) if text else ([], False)
            if not is_all:
                close(ProblemKind.DAMAGED_RECORD, _why(size))
            elif not _is_utf_8(text):
                problems.damage(begin, 1, "not valid UTF-8; U+FFFD stands for it")
            yield from ((begin, value) for value in values)
            lines, size, depth = [], 0, 0
    except BrokenStream as error:
        problems.add(error.kind, None, error.detail)
        return
    if size > MAX_DOCUMENT_BYTES:
        close(ProblemKind.DAMAGED_RECORD, _why(size))
    else:
        close(ProblemKind.CUT_RECORD, "the last document has no end")


def _why(size: int, otherwise: str = "not a JSON document") -> str:
    if size > MAX_DOCUMENT_BYTES:
        return f"a document larger than {MAX_DOCUMENT_BYTES >> 20} MiB"
    return otherwise


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


def _decoded(text: bytes) -> tuple[list[Any], bool]:
    """Decode a document, or several with nothing but blanks between them; tell whether that is all of the text."""
    value = _sound(text)
    if value is not None:
        return [value], True
    found: list[Any] = []
    position = 0
    try:
        whole = text.decode("utf-8", "replace")
        while position < len(whole):
            value, position = _DECODER.raw_decode(whole, position)
            if not isinstance(value, dict | list):
                return found, False
            found.append(value)
            position = _BETWEEN.match(whole, position).end()  # type: ignore[union-attr]  # matches nothing, too
    except (ValueError, RecursionError):
        return found, False
    return found, True
