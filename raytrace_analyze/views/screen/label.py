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


class _Label(Text):
    """Text that is wrapped between words only: a name or an id is whole, and can be copied, on any screen."""

    indent = 0

    def wrap(self, console: Console, width: int, **options: Any) -> Lines:
        """Give its lines, each behind the indent; a word that is longer than `width` is a line of its own."""
        lines = Lines(self._wrapped(console, max(width - self.indent, 1), options))
        for line in lines:
            line.pad_left(self.indent)
        return lines

    def _wrapped(self, console: Console, width: int, options: dict[str, Any]) -> Iterator[Text]:
        longer = [word.span() for word in _WORD.finditer(self.plain) if cell_len(word[0]) > width]
        if not longer:
            yield from super().wrap(console, width, **options)
            return
        for part in self.divide(sorted({place for span in longer for place in span})):
            word = part.plain.strip()
            if cell_len(word) > width and not re.search(r"\s", word):
                yield part
            elif word:
                yield from part.wrap(console, width, **options)


def label(text: str, style: str = "", *, indent: int = 0) -> Text:
    """Make text of one line that Rich shows as it is: nothing in it is markup, or acts on the terminal.

    All lines that it is wrapped to start behind `indent` blanks.
    """
    made = _Label(printable(text), style)
    made.indent = indent
    return made
