"""What a text is written in, told by how it begins; and the same text in UTF-8."""

import codecs
import re
from collections.abc import Iterator

UTF_8 = "utf-8"
_ENCODING_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff\0", "utf-16"),
    (b"{\0\0\0", "utf-32-le"),
    (b"\0\0\0{", "utf-32-be"),
    (b"{\0", "utf-16-le"),
    (b"\0{\0", "utf-16-be"),
)
"""Byte order marks, the longer ones first, and how a record begins without one."""
_UNMARKED = (
    (re.compile(rb"[\t\n\r -~]\0\0\0[\t\n\r -~]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0[\t\n\r -~]\0\0\0[\t\n\r -~]"), "utf-32-be"),
    (re.compile(rb"[\t\n\r -~]\0[\t\n\r -~]\0"), "utf-16-le"),
    (re.compile(rb"\0[\t\n\r -~]\0[\t\n\r -~]"), "utf-16-be"),
)
"""How any other text begins without a byte order mark: a list, a line of a log."""


def encoding_of(head: bytes) -> str:
    """Tell by the first bytes of a text what it is written in; anything that is not plainly UTF-16 or 32 is UTF-8."""
    for mark, encoding in _ENCODING_MARKS:
        if head.startswith(mark):
            return encoding
    return next((encoding for start, encoding in _UNMARKED if start.match(head)), UTF_8)


def in_utf_8(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Turn a text into UTF-8, block by block; what is no character of it becomes a replacement character."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")
