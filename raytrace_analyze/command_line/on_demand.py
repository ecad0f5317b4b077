"""The program's commands, each made when it is asked for: to make all of them takes longer than to show the help."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.models import CommandInfo


@dataclass(frozen=True)
class Known:
    """What is known of a command before it is made."""

    help: str
    panel: str | None


class OnDemand(Mapping[str, Any]):
    """By name the commands that Typer makes of what was registered, in that order."""

    def __init__(self, registered: Sequence[CommandInfo]) -> None:
        self._registered = {str(info.name): info for info in registered}
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            info = self._registered[name]
            self._made[name] = typer.main.get_command_from_info(
                info, pretty_exceptions_short=True, rich_markup_mode=None
            )
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._registered

    def __iter__(self) -> Iterator[str]:
        return iter(self._registered)

    def __len__(self) -> int:
        return len(self._registered)

    def known(self) -> Iterator[tuple[str, Known]]:
        """Give what is known of each without making it."""
        for name, info in self._registered.items():
            text = info.help or inspect.getdoc(info.callback) or ""
            yield name, Known(text, info.rich_help_panel if isinstance(info.rich_help_panel, str) else None)
