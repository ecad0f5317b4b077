"""The program's help: its commands by what one wants to do, each with its whole first sentence."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

import typer
from typer.core import TyperGroup

from raytrace_analyze.command_line.on_demand import OnDemand
from raytrace_analyze.errors import EXIT_CODES, EXIT_DAMAGED, EXIT_OK

COLLECT, LOOK, EXPLAIN, LIBRARIES, SHARE = "Collect", "Look", "Explain", "Loops and Ray's libraries", "Share"
PANELS = (COLLECT, LOOK, EXPLAIN, LIBRARIES, SHARE)

_NO_COMMAND = re.compile(r"[\d/.]")
"""What is in no command's name: something with it is meant as a path, or is an id."""
_INPUT = "-"
_CALLED: ContextVar[tuple[str, frozenset[str]]] = ContextVar("called", default=("", frozenset()))


def called() -> tuple[str, frozenset[str]]:
    """Give the name of the command that was called, and the options that it takes; nothing where there is none."""
    return _CALLED.get()


class Program(TyperGroup):
    """The program with its commands in panels; paths without a command are summed up."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Give the commands' names in the order in which they were registered."""
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `summary` before paths."""
        is_other = bool(args) and args[0] not in self.commands and (args[0] == _INPUT or not args[0].startswith("-"))
        if is_other and (args[0] == _INPUT or _NO_COMMAND.search(args[0]) or Path(args[0]).exists()):
            args = ["summary", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; where that went well, say on a terminal what to do next."""
        given = [*getattr(ctx, "_protected_args", ()), *ctx.args]
        if given and given[0] in self.commands:
            _CALLED.set((given[0], frozenset(word for one in self.commands[given[0]].params for word in one.opts)))
        try:
            with _at_work():
                result = super().invoke(ctx)
        except typer.Exit as end:
            if end.exit_code in (EXIT_OK, EXIT_DAMAGED):
                self._say_next(given)
            raise
        self._say_next(given)
        return result

    def _say_next(self, given: list[str]) -> None:
        """Write one line to standard error, where that is a terminal."""
        if not given or given[0] not in self.commands or sys.stderr is None or not sys.stderr.isatty():
            return
        from raytrace_analyze.views.screen.console import messages
        from raytrace_analyze.views.screen.next_step import next_step

        takes_value = {
            word for one in self.commands[given[0]].params if not getattr(one, "is_flag", True) for word in one.opts
        }
        with suppress(OSError):
            messages().print(next_step(given[0], given[1:], takes_value), style="dim", soft_wrap=True)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section a panel, commands in the order in which they were registered."""
        known = list(cast("OnDemand", self.commands).known())
        for panel in PANELS:
            rows = [(command.name, first_sentence(command.help)) for command in known if command.panel == panel]
            if rows:
                with formatter.section(panel):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what the exit codes mean."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


@contextmanager
def _at_work() -> Iterator[None]:
    """Take back in the end what shows that a command is at work, whatever came of it."""
    try:
        yield
    finally:
        if sys.stderr is not None and sys.stderr.isatty():
            from raytrace_analyze.views.screen.progress import end_work

            end_work()


def first_sentence(text: str) -> str:
    """Give the first paragraph of a help, as one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())
