"""What an output format is: how a selection of spans is written, and how a file of it is recognised."""

import re
from collections.abc import Callable
from typing import BinaryIO

from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.values import frozen


@frozen
class OutputFormat:
    """One kind of file that `export` writes. A module states it as `FORMAT`; `exports.formats` lists all."""

    name: str
    """What a user calls it: the word behind `--to`."""
    write: Callable[[Selection, BinaryIO], None]
    """Write the selection to a binary stream, front to back, with no list of all spans in memory."""
    begins: re.Pattern[bytes]
    """How a file that `write` wrote begins, in its first 64 KiB: only such a file is replaced without being asked."""
    times: int = 1
    """How often `write` goes through the spans."""
    shows_path: bool = True
    """Whether the critical path is in it."""
    is_text: bool = True
    """Whether a terminal can show it."""
