"""Files of the hook that came one after the other in one stream (`cat spans/*`): where each begins and ends.

The side files say what they are at their start only: what follows in the stream is of another kind.
"""

import mmap
import re
from collections.abc import Iterable, Iterator

from raytrace_analyze.decode import open_spans, task_events

_HEADER = re.compile(rb"%s|%s" % (open_spans.HEADER.pattern, task_events.HEADER.pattern))
_SLOT_BYTES = re.compile(rb'"slot_bytes": ?(\d{1,9})[,}]')
_ATTEMPT = b'{"task_id"'
_SLOT = b"{ "
"""How a slot starts that is taken, and one that is free."""
_HEADER_BYTES = 256
_LONGEST_HEADER = 32


def has_side_file(blocks: Iterable[bytes]) -> bool:
    """Tell whether a side file of the hook begins anywhere in a stream."""
    end = b""
    for block in blocks:
        if _HEADER.search(end + block):
            return True
        end = block[-_LONGEST_HEADER:]
    return False


def files_in(content: "bytes | mmap.mmap") -> Iterator[tuple[int, int]]:
    """Give where each file begins and ends, as byte offsets; they tile the content.

    Span records between two side files count as one file, from however many they are.
    """
    position, size = 0, len(content)
    while position < size:
        header = _HEADER.search(content, position)
        start = size if header is None else header.start()
        if start > position:
            yield position, start
        if header is None:
            return
        position = _slots_end(content, start) if open_spans.HEADER.match(content, start) else _lines_end(content, start)
        yield start, position


def _line_end(content: "bytes | mmap.mmap", start: int) -> int:
    return content.find(b"\n", start) + 1 or len(content)


def _slots_end(content: "bytes | mmap.mmap", start: int) -> int:
    """Give the end of a file of open spans: a header, then lines of one length."""
    end = _line_end(content, start)
    told = _SLOT_BYTES.search(content, start, min(end, start + _HEADER_BYTES))
    length = int(told[1]) if told else 0
    while length and content[end : end + 1] in _SLOT and _line_end(content, end) == end + length <= len(content):
        end += length
        if end == len(content):
            break
    return end


def _lines_end(content: "bytes | mmap.mmap", start: int) -> int:
    """Give the end of a file of task events: a header, then a line an attempt."""
    end = _line_end(content, start)
    while content[end : end + len(_ATTEMPT)] == _ATTEMPT:
        end = _line_end(content, end)
    return end
