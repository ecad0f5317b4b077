"""The two Rich consoles: results go to standard output, everything else to standard error."""

import os
import sys
from typing import Any

from rich.console import Console, Group

from raytrace_analyze.views.screen.fitted_table import shown
from raytrace_analyze.views.screen.fitted_table import table as table

_PIPE_WIDTH = 120


class _Console(Console):
    """Shows texts as `label` makes them, and leaves a reader that has gone to the commands.

    Rich's own answer to that is exit code 1, which is a failed gate here.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, each below the other; a plain string becomes a label. A word longer than a line is left whole."""
        options.setdefault("crop", False)
        # In a group, since Rich joins labels to a text that no longer knows where it may be wrapped.
        super().print(Group(*(shown(each) for each in objects or ("",))), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


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
