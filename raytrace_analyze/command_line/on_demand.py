"""The program's commands, each loaded when it is asked for: to load all of them takes longer than to show the help."""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from pkgutil import get_data
from typing import Any

import typer

from raytrace_analyze.values import frozen

_ROOM = "raytrace_analyze.commands"
_DOCSTRING = r'^def {}\(.*?\) -> None:\n    """(.*?)"""'


@frozen
class Command:
    """What is known of a command before it is loaded."""

    module: str
    """Where in the room of the commands it stands, a function of the module's last name."""
    panel: str
    """Where in the help."""
    settings: Mapping[str, Any] | None = None
    """What is different in how its arguments are read."""

    @property
    def function_name(self) -> str:
        """What its function is called."""
        return self.module.rpartition(".")[2]

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.function_name.replace("_", "-")

    @cached_property
    def help(self) -> str:
        """What it says of itself: read from its source, and where that is not there, from the function."""
        try:
            source = get_data(_ROOM, f"{self.module.replace('.', '/')}.py") or b""
        except OSError:
            source = b""
        found = re.search(_DOCSTRING.format(self.function_name), source.decode(), re.DOTALL | re.MULTILINE)
        return found[1] if found else self.load().__doc__ or ""

    def load(self) -> Any:
        """Give its function."""
        return getattr(import_module(f"{_ROOM}.{self.module}"), self.function_name)

    def add_to(self, app: typer.Typer) -> None:
        """Load it, and register it."""
        settings = dict(self.settings) if self.settings else None
        app.command(self.name, rich_help_panel=self.panel, context_settings=settings)(self.load())


class OnDemand(Mapping[str, Any]):
    """By name the commands as Typer makes them, in the order that is given."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            alone = typer.Typer()
            self._commands[name].add_to(alone)
            (info,) = alone.registered_commands
            self._made[name] = typer.main.get_command_from_info(
                info, pretty_exceptions_short=True, rich_markup_mode=None
            )
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def known(self) -> Iterator[Command]:
        """Give what is known of each without loading it."""
        return iter(self._commands.values())
