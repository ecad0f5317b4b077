"""Defaults of options from a file: `raytrace.toml`, or `[tool.raytrace-analyze]` in `pyproject.toml`."""

import os
import re
from pathlib import Path
from typing import Any

from raytrace_analyze.closest import did_you_mean
from raytrace_analyze.errors import UsageError

OWN = Path("raytrace.toml")
SHARED = Path("pyproject.toml")
SECTION = "raytrace-analyze"
_MAY_HAVE_SECTION = re.compile(
    rf"""['"]?tool['"]?\s*\.\s*['"]?{SECTION}|^\s*\[\s*['"]?tool['"]?\s*\]|^\s*['"]?tool['"]?\s*=""", re.MULTILINE
)
"""Every way in which TOML can name it."""


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
        text = path.read_text(encoding="utf-8")
        if path == SHARED and not _MAY_HAVE_SECTION.search(text):
            return None  # parsing it takes as long as much else that a help page needs
        import tomllib

        content = tomllib.loads(text)
    except (OSError, ValueError) as error:
        if path == SHARED:  # another tool's file: that tool tells what is wrong with it
            return None
        raise UsageError(f"{path} cannot be read: {error}") from error
    found = content if path == OWN else content.get("tool", {}).get(SECTION)
    return found if isinstance(found, dict) else None


def _by_command(section: dict[str, Any], program: Any, path: Path) -> dict[str, dict[str, Any]]:
    parameters = {name: _options(command) for name, command in program.commands.items()}
    everywhere = {option for options in parameters.values() for option in options}
    found: dict[str, dict[str, Any]] = {name: {} for name in parameters}
    for key, value in section.items():
        if isinstance(value, dict):
            _check(key, parameters, path, "command")
            for option, own in value.items():
                _check(option, parameters[key], path, f"option of {key}")
                found[key][parameters[key][option]] = own
    for key, value in section.items():
        if not isinstance(value, dict):
            _check(key, everywhere, path, "option")
            for name, options in parameters.items():
                if key in options:
                    found[name].setdefault(options[key], value)
    return found


def _options(command: Any) -> dict[str, str]:
    """Give by name, without the dashes, the options of a command and the parameters that they set."""
    return {
        word.removeprefix("--"): parameter.name
        for parameter in command.params
        for word in parameter.opts
        if word.startswith("--") and word != "--help"
    }


def _check(key: str, known: Any, path: Path, what: str) -> None:
    if key not in known:
        raise UsageError(f"{path}: there is no {what} {key!r}{did_you_mean(key, known)}")
