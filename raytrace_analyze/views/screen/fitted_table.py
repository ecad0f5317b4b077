"""Tables that fit the screen: no word in them is cut or broken; what matters least goes first, and it says so."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table

from raytrace_analyze.views.screen.label import label, words

_GAP = 2
_SENTENCE = 24
"""How much room a cell of several words is to have, so that it does not become a column of single words."""


def shown(given: Any) -> Any:
    """Make a label of a plain string; anything else is as it is."""
    return label(given) if isinstance(given, str) else given


class FittedTable(Table):
    """A table whose cells are labels, and whose columns are as wide as what is in them needs.

    Where the screen is too narrow, columns with nothing in them go, and then those named in `drop`, the first one
    first, which a line below names.
    Where what is left is still too wide, each row takes two lines: what it is about, and the rest.
    """

    def __init__(self, drop: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self._drop = drop

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; a plain string becomes a label."""
        super().add_row(*(shown(each) for each in cells), **options)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept = list(self.columns)
        left_out: list[str] = []
        if _needed(kept) > options.max_width:
            kept = [column for column in kept if any(str(cell).strip() for cell in column._cells)]
        for name in self._drop:
            if _needed(kept) <= options.max_width:
                break
            left_out += [_one_line(name) for column in kept if str(column.header) == name]
            kept = [column for column in kept if str(column.header) != name]
        if _needed(kept) <= options.max_width:
            yield from self._narrowed(kept, options.max_width).__rich_console__(console, options)
        else:
            yield from self._in_two_lines(kept)
        if left_out:
            yield label(f"Not shown at this width: {', '.join(left_out)}; --format csv has it all.", style="dim")

    def _narrowed(self, kept: Sequence[Column], width: int) -> Table:
        """Give a table of some of the columns, each with a width that is enough."""
        widths = _widths(kept, width)
        made = Table(box=None, pad_edge=False, header_style=self.header_style, padding=self.padding)
        for column, room in zip(kept, widths, strict=True):
            made.add_column(column.header, justify=column.justify, no_wrap=column.no_wrap, width=room)
        for row, cells in zip(self.rows, _cells(kept), strict=True):
            Table.add_row(made, *cells, style=row.style, end_section=row.end_section)
        return made

    def _in_two_lines(self, kept: Sequence[Column]) -> Iterator[RenderableType]:
        heads = [_one_line(str(column.header)) for column in kept[1:]]
        for row, (first, *rest) in zip(self.rows, _cells(kept), strict=True):
            style = str(row.style or "")
            if str(first):
                yield label(str(first), style=style)
            told = (f"{head} {cell}".strip() for head, cell in zip(heads, rest, strict=True) if str(cell).strip())
            yield label("    " + ", ".join(told), style=style)


def table(*columns: str, right: tuple[str, ...] = (), drop: Sequence[str] = ()) -> FittedTable:
    """A plain table; the columns named in `right` hold numbers, the first one names what a row is about.

    Those in `drop` may be left out on a narrow screen, the first of them first.
    """
    made = FittedTable(drop, box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for column in columns:
        if column in right:
            made.add_column(column, justify="right", no_wrap=True)
        else:
            made.add_column(column)
    return made


def _one_line(head: str) -> str:
    return " ".join(head.replace("-\n", "").split())


def _cells(columns: Sequence[Column]) -> Iterator[tuple[RenderableType, ...]]:
    return zip(*(column._cells for column in columns), strict=True)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Share the room out: to each what it needs, the rest to those that want more, the smallest want first."""
    widths = [_least(column) for column in columns]
    spare = width - sum(widths) - _GAP * (len(columns) - 1)
    wants = sorted((_natural(column) - widths[place], place) for place, column in enumerate(columns))
    for number, (want, place) in enumerate(wants):
        given = min(want, spare // (len(wants) - number))
        widths[place] += given
        spare -= given
    return widths


def _needed(columns: Sequence[Column]) -> int:
    return sum(map(_least, columns)) + _GAP * (len(columns) - 1)


def _least(column: Column) -> int:
    """How narrow a column can be without a word in it being broken."""
    if column.no_wrap:
        return _natural(column)
    longest = max((cell_len(word) for text in _texts(column) for word in words(text)), default=0)
    return max(longest, min(_natural(column), _SENTENCE))


def _natural(column: Column) -> int:
    return max((cell_len(line) for text in _texts(column) for line in text.split("\n")), default=0)


def _texts(column: Column) -> Iterator[str]:
    yield str(column.header)
    yield from map(str, column._cells)
