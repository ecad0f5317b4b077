"""The two Rich consoles: results go to standard output, everything else to standard error."""

import os
import sys
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from raytrace_analyze.views.label import label

_PIPE_WIDTH = 120
_LABEL_WIDTH = 12
"""However narrow the screen, what a row is about stays readable."""


class _Console(Console):
    """Shows texts as `label` makes them, and leaves a reader that has gone to the commands.

    Rich's own answer to that is exit code 1, which is a failed gate here.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a plain string becomes a label."""
        super().print(*(_shown(each) for each in objects), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Table(Table):
    """A table whose cells are labels."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; a plain string becomes a label."""
        super().add_row(*(_shown(each) for each in cells), **options)


def _shown(given: Any) -> Any:
    return label(given) if isinstance(given, str) else given


def output() -> Console:
    """The console for results; as wide as the terminal, 120 columns in a pipe (`COLUMNS` decides)."""
    return _console(stderr=False)


def messages() -> Console:
    """The console for everything that is not the result."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _Console(stderr=stderr, width=width, highlight=False, soft_wrap=False, markup=False, emoji=False)


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A plain table; the columns named in `right` hold numbers, the first one names what a row is about."""
    made = _Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        if column in right:
            made.add_column(column, justify="right", no_wrap=True)
        else:
            made.add_column(column, overflow="fold", min_width=_LABEL_WIDTH if column == columns[0] else None)
    return made
