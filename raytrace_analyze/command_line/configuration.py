"""Defaults of options from a file: `raytrace.toml`, or `[tool.raytrace-analyze]` in `pyproject.toml`."""

import os
import re
from pathlib import Path
from typing import Any

from raytrace_analyze.errors import UsageError
from raytrace_analyze.text.closest import did_you_mean

OWN = Path("raytrace.toml")
SHARED = Path("pyproject.toml")
SECTION = "raytrace-analyze"
_MAY_HAVE_SECTION = re.compile(
    rf"""['"]?tool['"]?\s*\.\s*['"]?{SECTION}|^\s*\[\s*['"]?tool['"]?\s*\]|^\s*['"]?tool['"]?\s*=""", re.MULTILINE
)
"""Every way in which TOML can name it."""

_LARGEST = 1 << 20
"""Of a file, in bytes."""
_PLAIN = (str, int, float)


def read_defaults(program: Any) -> tuple[dict[str, dict[str, Any]], Path | None]:
    """Read the defaults that stand in the working directory, for each command by the names of its parameters.

    At the top of the file, `top = 30` counts for all commands that have `--top`; in a table with the name of a command
    it is for that one. Gives the file, too; None without one. Somebody else's file is not read: options can say what
    to overwrite. Raises UsageError for a file that cannot be read, or that names what is not there.
    """
    for path in (OWN, SHARED):
        if path.is_file() and path.stat().st_uid in (os.geteuid(), 0):
            section = _section(path)
            if section is not None:
                return _by_command(section, program, path), path
    return {}, None


def _section(path: Path) -> dict[str, Any] | None:
    try:
        text = _text(path)
        if path == SHARED and not _MAY_HAVE_SECTION.search(text):
            return None  # parsing it takes as long as much else that a help page needs
        import tomllib

        content = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        if path == SHARED:  # another tool's file: that tool tells what is wrong with it
            return None
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{path} cannot be read: {why}") from error
    found = content if path == OWN else _table(_table(content, "tool"), SECTION)
    return found if isinstance(found, dict) else None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
    return content.decode("utf-8-sig")


def _table(content: Any, name: str) -> Any:
    return content.get(name) if isinstance(content, dict) else None


def _by_command(section: dict[str, Any], program: Any, path: Path) -> dict[str, dict[str, Any]]:
    parameters = {name: _options(command) for name, command in program.commands.items()}
    everywhere = {option for options in parameters.values() for option in options}
    found: dict[str, dict[str, Any]] = {name: {} for name in parameters}
    for key, value in section.items():
        if isinstance(value, dict):
            _check(key, parameters, path, "command")
            for option, own in value.items():
                _check(option, parameters[key], path, f"option of {key}")
                parameter = parameters[key][option]
                found[key][parameter.name] = _given(own, parameter, option, path)
    for key, value in section.items():
        if not isinstance(value, dict):
            _check(key, everywhere, path, "option")
            for name, options in parameters.items():
                if key in options:
                    found[name].setdefault(options[key].name, _given(value, options[key], key, path))
    return found


def _given(value: Any, parameter: Any, option: str, path: Path) -> Any:
    """Give what an option is set to; raises UsageError for what none takes, or only one that takes several values."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, _PLAIN) for each in values) or (values is value and not parameter.multiple):
        more = ", or a list of these" if parameter.multiple else ""
        raise UsageError(f"{path}: {option} takes a text, a number, true or false{more}")
    return values if parameter.multiple else value


def _options(command: Any) -> dict[str, Any]:
    """Give by name, without the dashes, the options of a command as Typer has them."""
    return {
        word.removeprefix("--"): parameter
        for parameter in command.params
        for word in parameter.opts
        if word.startswith("--") and word != "--help"
    }


def _check(key: str, known: Any, path: Path, what: str) -> None:
    if key not in known:
        raise UsageError(f"{path}: there is no {what} {key!r}{did_you_mean(key, known)}")
