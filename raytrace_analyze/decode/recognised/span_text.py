"""Tells span JSON from whatever else is JSON, text or neither."""

import json
import re

from raytrace_analyze.model import Head

_RECORD = re.compile(
    rb'\{\s*"name"\s*:\s*(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\w.-]+)\s*,'
    rb'\s*"context"\s*:\s*\{\s*"trace_id"\s*:\s*"(?:0[xX])?[0-9a-fA-F]+"\s*,\s*"span_id"\s*:\s*"'
)
"""How every span starts that OpenTelemetry's `to_json` wrote; enough of one that is longer than the head."""

_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x7f]")

_LINE_OF_TEXT = re.compile(rb"^[\w:(<#*=+\[-]", re.MULTILINE)


def is_span_json(start: Head) -> bool:
    """Tell whether a span record starts in the head, and nothing but blanks or damage stands before it.

    Damage is the rest of a record, or bytes that are not text. A log into which something printed spans is
    no span JSON: its own lines would all be damage.
    """
    head = start.content
    if b'"trace_id"' not in head or b'"span_id"' not in head:  # spares nearly all foreign files the rest
        return False
    record = _RECORD.search(head)
    if record is None:
        return _starts_with_span(head)
    before = head[: record.start()].removeprefix(b"\xef\xbb\xbf").strip()
    return not before or _is_damage(before, after=head[record.start() :])


def _starts_with_span(head: bytes) -> bool:
    """Tell whether a span is the first thing there; takes any order of keys, but needs all of the record."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n[")
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    context = value.get("context") if isinstance(value, dict) else None
    return isinstance(context, dict) and {"trace_id", "span_id"} <= context.keys() and "start_time" in value


def _is_damage(before: bytes, after: bytes) -> bool:
    """Tell whether what stands before the first record is a damaged start, or shows that this is a log."""
    if _NOT_TEXT.search(before) or before.startswith(b'{"name"'):
        return True
    try:
        before.decode()
    except UnicodeDecodeError:
        return True
    _, *others = before.splitlines()
    if before.endswith(b"}") and all(line[:1] in b" \t{}" for line in others):  # the rest of a record
        return True
    return not others and not _LINE_OF_TEXT.search(after)
