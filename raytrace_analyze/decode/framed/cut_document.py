"""What can be had of a JSON document without an end: its records that have one, and what stands around them."""

import re
from typing import NamedTuple

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[][{}]')
"""A string (one that is cut counts as well, or each quote in it would be tried) or a bracket."""

_CLOSED_BY = {"{": "}", "[": "]"}


class _Open(NamedTuple):
    """A bracket that is open, in those that it stands in: what was open at any time takes no copy."""

    bracket: str
    holds_records: bool
    outer: "_Open | None"


class Kept(NamedTuple):
    """What is left of a document once its last record, which has no end, is taken away."""

    text: str
    """A whole document; empty if no record has an end."""
    length: int
    """How many characters of the document that is."""
    has_begun: bool
    """Whether any record begins in it: then one is lost."""


def complete_part(text: str, records: frozenset[str]) -> Kept:
    """Take away what has no end, and close what was open around it.

    `records` names the members whose arrays hold the records; "" is the array that the document itself is. Of a record
    without an end nothing is kept: what is missing might be when it ended.
    """
    inner: _Open | None = None
    last: tuple[int, _Open | None] | None = None  # where a value ended outside of records, and what was open there
    record: _Open | None = None
    name, name_end, has_begun = "", 0, False
    for token in _TOKEN.finditer(text):
        found = token[0]
        if found[0] == '"':
            name, name_end = found[1:-1], token.end()
        elif found in _CLOSED_BY:
            holder = name if text[name_end : token.start()].strip() == ":" else ""
            is_named = inner is None or bool(holder)
            inner = _Open(found, found == "[" and is_named and holder in records, inner)
            if record is None and found == "{" and inner.outer is not None and inner.outer.holds_records:
                record, has_begun = inner, True
        elif inner is None or _CLOSED_BY[inner.bracket] != found:
            break
        else:
            if inner is record:
                record = None
            inner = inner.outer
            if record is None and has_begun:
                last = token.end(), inner
    if last is None:
        return Kept("", 0, has_begun)
    end, open_there = last
    closing = []
    while open_there is not None:
        closing.append(_CLOSED_BY[open_there.bracket])
        open_there = open_there.outer
    return Kept(text[:end] + "".join(closing), end, has_begun)
