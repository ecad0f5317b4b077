"""HTML and SVG, put together of elements: the one place where text becomes markup, and is escaped."""

import html
import re
from collections.abc import Iterable

from raytrace_analyze.text.printable import printable

_VOID = frozenset({"meta", "link", "br", "hr", "input", "col", "rect", "line", "polyline", "path", "polygon", "use"})
"""Elements that have no content."""


_ENDS = re.compile(r"(?<=->)|(?<=[_./,(:])(?=[^\s_./,():])|(?<=[a-z0-9])(?=[A-Z])")
"""Where a part of a name ends: of a path, an operator of Ray Data, a word in snake or camel case."""
_LONGEST_PIECE = 20


class Markup(str):
    """Text that is markup already: put into an element as it is."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]
Attribute = str | int | float | bool | None


def tag(name: str, *children: Child, **attributes: Attribute) -> Markup:
    """Make an element; texts are escaped, `Markup` is not, None is left out, what is iterable is put in one by one.

    An attribute `x_y` is written `x-y`, `class_` and `for_` as `class` and `for`; one that is None or False is left
    out, one that is True has no value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID and not children:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Put markup and texts one behind the other."""
    return Markup("".join(map(_markup, children)))


def escaped(text: str) -> Markup:
    """Make markup of a text: nothing in it is an element, and nothing turns the line around or breaks it."""
    return Markup(html.escape(printable(text)))


def lines(*texts: str | None) -> Markup:
    """Make markup of texts, a line each where line breaks are shown; those that are None are left out."""
    return Markup("\n".join(escaped(text) for text in texts if text is not None))


def breakable(text: str) -> Markup:
    """Make markup of a name that may be long: a line ends where a part of it does, never within a word or an arrow."""
    parts = _ENDS.split(text)
    pieces = (part[at : at + _LONGEST_PIECE] for part in parts for at in range(0, len(part), _LONGEST_PIECE))
    return Markup(
        "<wbr>".join(tag("span", one, class_="whole") if one.endswith("->") else escaped(one) for one in pieces)
    )


def prose(text: str) -> list[Child]:
    """Make a sentence of the screen one of the page: names, which stand between backticks there, are set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a name has backticks of its own
        return [text]
    return [tag("code", part) if place % 2 else part for place, part in enumerate(parts)]


def _markup(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    if child is None:
        return ""
    if isinstance(child, str | int):
        return escaped(str(child))
    return join(child)


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {name}="{escaped(text)}"'
