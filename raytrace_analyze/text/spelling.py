"""Text on terminals that are not written in UTF-8: what they lack is spelled in ASCII."""

import codecs
import io
import os
import sys
from typing import TextIO

_IN_ASCII = "raytrace-analyze.ascii"
_SAYS_ENCODING = {"PYTHONUTF8", "PYTHONIOENCODING"}


class _Spelling(dict[int, str]):
    """What stands for a character: `?` for those that are not named."""

    def __missing__(self, character: int) -> str:
        return "?"


_SPELLING = _Spelling(zip(map(ord, "\u2588\u00b7\u00b5\u2026\u2502\u251c\u2514\u2500"), "#.u.|+`-", strict=True))
"""Bars, units and the branches of trees."""


def spell_out(*streams: TextIO) -> None:
    """See to it that whatever is written to these streams can be.

    Python writes UTF-8 where the locale is C or POSIX; one who asked for that by name has a terminal that cannot.
    """
    codecs.register_error(_IN_ASCII, _spelled)
    wanted = os.environ.get("LC_ALL") or os.environ.get("LANG")
    is_plain = wanted in ("C", "POSIX") and sys.flags.utf8_mode == 1 and not os.environ.keys() & _SAYS_ENCODING
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="ascii" if is_plain else None, errors=_IN_ASCII)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Give as many ASCII characters as there are that cannot be encoded, so that columns stay in line."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return error.object[error.start : error.end].translate(_SPELLING), error.end
