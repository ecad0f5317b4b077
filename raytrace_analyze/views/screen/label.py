"""The only way to the screen: whatever a view shows becomes a `label` first, whole lines and names alike."""

import re
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.containers import Lines
from rich.text import Text

from raytrace_analyze.text.printable import printable

_WORD = re.compile(r"\S+")
_BLANK = re.compile(r"\s")
_BEFORE_A_UNIT = re.compile(r"(?<=\d) (?=(?:ns|[µu]s|ms|s|min|h|[kKMGTP]?i?B|%)(?!\w))")
_KEPT = "\ue000"
"""What stands for a blank between a number and its unit while lines are made; no text that is shown has it."""


class _Label(Text):
    """Text that is wrapped between words only: a name or an id is whole, and can be copied, on any screen.

    A number and its unit are one word.
    """

    indent = 0

    def wrap(self, console: Console, width: int, **options: Any) -> Lines:
        """Give its lines, each behind the indent; a word that is longer than `width` is a line of its own."""
        if options.get("overflow") == "ignore":  # how Rich says that a line may be as long as it is
            return super().wrap(console, width, **options)
        kept = self.copy()
        kept.plain = _with_units(self.plain)
        lines = Lines(_wrapped(kept, console, max(width - self.indent, 1), options))
        for line in lines:
            line.plain = line.plain.replace(_KEPT, " ")
            line.rstrip()
            line.pad_left(self.indent)
        return lines


def label(text: str, style: str = "", *, indent: int = 0) -> Text:
    """Make text of one line that Rich shows as it is: nothing in it is markup, or acts on the terminal.

    All lines that it is wrapped to start behind `indent` blanks.
    """
    made = _Label(printable(text), style)
    made.indent = indent
    return made


def words(text: str) -> list[str]:
    """Give what a label of this text keeps whole on any screen."""
    return _with_units(text).split()


def _with_units(text: str) -> str:
    return _BEFORE_A_UNIT.sub(_KEPT, text)


def _wrapped(text: Text, console: Console, width: int, options: dict[str, Any]) -> Iterator[Text]:
    longer = [word.span() for word in _WORD.finditer(text.plain) if cell_len(word[0]) > width]
    if not longer:
        yield from text.wrap(console, width, **options)
        return
    for part in text.divide(sorted({place for span in longer for place in span})):
        word = part.plain.strip()
        if cell_len(word) > width and not _BLANK.search(word):
            yield part
        elif word:
            yield from part.wrap(console, width, **options)
