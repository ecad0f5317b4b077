"""The pieces that all sections are made of: sections, tables, swatches, bars."""

import math
from collections.abc import Iterable, Iterator, Sequence

from raytrace_analyze.report.kinds import Kind
from raytrace_analyze.report.markup import Child, Markup, breakable, prose, tag
from raytrace_analyze.text.units import offset_text

_LONG = 40
"""From so many characters on a text gets a wide column."""
_SOME = 14
"""From so many on it gets one of more than a word."""
_MARKS = 5
"""How many parts of a time axis there are at most."""
_LAST = 0.86
"""Up to which part of an axis there is room for a mark beside the end's."""


def section(key: str, title: str, *content: Child, lead: Child = None) -> Markup:
    """Make a section of the page; `lead` says in a sentence what it shows."""
    return tag(
        "section",
        tag("h2", title, id=f"{key}-title"),
        None if lead is None else tag("p", lead, class_="lead"),
        *content,
        id=key,
        aria_labelledby=f"{key}-title",
    )


def data_table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[Child]], right: Sequence[str] = ()
) -> Markup:
    """Make a table that scrolls sideways where it is too wide; the columns named in `right` hold numbers.

    The first cell of each row says what the row is about.
    """
    numeric = [head in right for head in heads]
    head = tag(
        "tr",
        (tag("th", text, scope="col", class_="n" if is_n else None) for text, is_n in zip(heads, numeric, strict=True)),
    )
    body = [
        tag(
            "tr",
            (
                tag("th", _about(cell), scope="row")
                if place == 0
                else tag("td", cell, class_=_kind(cell, numeric[place]))
                for place, cell in enumerate(cells)
            ),
        )
        for cells in rows
    ]
    table = tag("table", tag("caption", tag("span", caption)), tag("thead", head), tag("tbody", body))
    return tag("div", table, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _about(cell: Child) -> Child:
    return breakable(cell) if isinstance(cell, str) and not isinstance(cell, Markup) else cell


def _kind(cell: Child, is_number: bool) -> str | None:
    """Give the class of a cell: a number, or a text that needs room."""
    if is_number:
        return "n"
    length = len(cell) if isinstance(cell, str) and not isinstance(cell, Markup) else 0
    return "long" if length >= _LONG else "words" if length >= _SOME else None


def swatch(kind: Kind) -> Markup:
    """Show the colour and pattern of a kind of time."""
    patch = tag("rect", width="100%", height="100%", class_=f"k-{kind.key}")
    return tag("svg", patch, class_="swatch", aria_hidden="true")


def legend(kinds: Iterable[tuple[Kind, str]]) -> Markup:
    """Name kinds of time beside their colours, each with a text such as its share."""
    items = (tag("li", swatch(kind), tag("span", kind.label), tag("b", text)) for kind, text in kinds)
    return tag("ul", items, class_="legend")


def bar(parts: Iterable[tuple[Kind, float]], label: str) -> Markup:
    """Draw parts of a whole (shares of 0 to 1) beside each other."""
    left, drawn = 0.0, []
    for kind, share in parts:
        drawn.append(tag("rect", x=percent(left), width=percent(share), height="100%", class_=f"k-{kind.key}"))
        left += share
    return tag("svg", drawn, class_="bar", role="img", aria_label=label)


def axis(makespan_ns: int) -> Markup:
    """Name points in time below a drawing that is as wide as the job is long."""
    marks = []
    for number, at in enumerate(_marks(makespan_ns)):
        anchor = "start" if at == 0 else "end" if at == makespan_ns else "middle"
        inner = "wide" if number % 2 and at < makespan_ns else None
        text = offset_text(at, makespan_ns)
        marks.append(tag("text", text, x=percent(at / max(makespan_ns, 1)), y="12", text_anchor=anchor, class_=inner))
    return tag("svg", marks, class_="axis", aria_hidden="true")


def _marks(makespan_ns: int) -> Iterator[int]:
    """Give round points in time from the start on, and the end."""
    rough = max(makespan_ns / _MARKS, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(int(each * power) for each in (1, 2, 5, 10) if each * power >= rough)
    yield from range(0, math.ceil(makespan_ns * _LAST), step)
    yield makespan_ns


def folded(summary: str, *content: Child, is_open: bool = False) -> Markup:
    """Hide content behind a line that opens it."""
    return tag("details", tag("summary", summary), *content, open=is_open)


def notes(texts: Iterable[str]) -> Markup | None:
    """List what a reader should know."""
    items = [tag("li", prose(text)) for text in texts]
    return tag("ul", items, class_="notes") if items else None


def percent(share: float) -> str:
    """Write a share (0 to 1) as a length of SVG."""
    return f"{100 * share:.4f}".rstrip("0").rstrip(".") + "%"
