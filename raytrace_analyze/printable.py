"""Text from input that may be shown: nothing in it moves a terminal's cursor, breaks a line or turns it around."""


def printable(text: str) -> str:
    r"""Put U+FFFD in place of each control character, bidirectional control, line break and lone surrogate.

    >>> printable("a\x1b[2Jb\nc")
    'a�[2Jb�c'
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _instead(character) for character in text)


def _instead(character: str) -> str:
    import unicodedata  # every command shows text, next to none of it has such characters

    return " " if unicodedata.category(character) == "Zs" else "\N{REPLACEMENT CHARACTER}"
