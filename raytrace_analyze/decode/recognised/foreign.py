"""Names files that hold no spans that we can read, so that who gave them learns what they have there instead."""

import re

_STARTS = (
    (b"\0\0\0\0", "files full of NULs"),
    (b"PK\x03\x04", "zip archives"),
    (b"BZh", "bzip2 files"),
    (b"\xfd7zXZ\0", "xz files"),
    (b"PAR1", "Parquet files of others"),
    (b"SQLite format 3\0", "SQLite databases"),
    (b"\x7fELF", "programs"),
    (b"\x89PNG", "pictures"),
    (b"%PDF", "PDF files"),
)
_TAR_MARK = slice(257, 262)
_TRACE_ID = re.compile(rb'\\?"(?:trace_?id|traceID|traceId)\\?"', re.IGNORECASE)
_PATTERNS = (
    (re.compile(rb'\s*\{\s*"log"\s*:\s*\{\s*"(?:version|creator|browser|pages|entries)"'), "HAR files"),
    (re.compile(rb'\s*(?:\{[^\[]{0,2000}"traceEvents"\s*:\s*)?\[\s*\{(?=[^}]{0,2000}"ph"\s*:)'), "Chrome traces"),
    (re.compile(rb'\s*\[\s*\{(?=.{0,4000}"(?:localEndpoint|binaryAnnotations)"\s*:)', re.DOTALL), "Zipkin JSON"),
    (re.compile(rb'\s*\{\s*"log"\s*:\s*"'), "Docker log lines"),
    (re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) [FP] "), "Kubernetes log lines"),
    # A packet with the number of its sequence, or with a time, stands first.
    (re.compile(rb"\n[\x80-\xff]{0,2}[\x01-\x7f](?:P[\x01-\x08]|@[\x80-\xff]{2})"), "Perfetto traces"),
    (re.compile(rb"\s*(?:<!doctype html|<html)", re.IGNORECASE), "HTML pages"),
)


def foreign_kind(head: bytes) -> str | None:
    """Tell by the start of a file what it is, in words for several of them; None for what nobody could take for spans.

    Other text in which a trace id is named is `texts that name trace ids`.
    """
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[_TAR_MARK] == b"ustar":
        return "tar archives"
    has_ids = _TRACE_ID.search(head) is not None
    for pattern, kind in _PATTERNS:
        if pattern.match(head):
            return f"{kind} with spans inside" if has_ids and kind.endswith("lines") else kind
    return "texts that name trace ids" if has_ids else None
