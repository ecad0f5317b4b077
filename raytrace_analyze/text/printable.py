"""Text from input that may be shown: nothing in it moves a terminal's cursor, breaks a line or turns it around."""

import re
from collections.abc import Callable

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""How text is coloured on a terminal, as Ray does with names in its errors: it says nothing that is lost without."""
_MAY_ACT = re.compile(r"[^\x00-\x7e]")
"""Among these is what acts on a terminal, in JSON: what stands before them is escaped there anyway."""


def printable(text: str) -> str:
    r"""Put U+FFFD in place of each control character, bidirectional control, line break and lone surrogate.

    Colours are left out.

    >>> printable("a\x1b[2Jb\nc\x1b[31md\x1b[0m")
    'a�[2Jb�cd'
    """
    return text if text.isprintable() else replaced(_COLOUR.sub("", text), _instead)


def replaced(text: str, instead: Callable[[str], str]) -> str:
    """Put something else in place of each such character; `instead` says what."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else instead(character) for character in text)


def _instead(character: str) -> str:
    import unicodedata  # every command shows text, next to none of it has such characters

    return " " if unicodedata.category(character) == "Zs" else "\N{REPLACEMENT CHARACTER}"


def printable_json(text: str) -> str:
    r"""Escape in JSON what would act on a terminal: who reads it gets the original, who looks at it is safe.

    >>> printable_json('["a\u202eb", "\u00e9"]')
    '["a\\u202eb", "é"]'
    """
    return _MAY_ACT.sub(_escaped, text)


def ascii_json(text: str) -> str:
    r"""Escape in JSON all that is not ASCII, too.

    >>> ascii_json('["a\u202eb", "\u00e9"]')
    '["a\\u202eb", "\\u00e9"]'
    """
    return _MAY_ACT.sub(lambda found: _in_json(found[0]), text)


def _escaped(found: re.Match[str]) -> str:
    return replaced(found[0], _in_json)


def _in_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
