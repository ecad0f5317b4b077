"""`man`: the manual page, made of what the commands say of themselves."""

import re
import sys
from collections.abc import Iterator
from typing import Any

import typer

from raytrace_analyze.command_line.panels import PANELS
from raytrace_analyze.command_line.reading import writing
from raytrace_analyze.errors import EXIT_CODES


def man(ctx: typer.Context) -> None:
    """Write the manual page to standard output.

    Examples:

      raytrace-analyze man > ~/.local/share/man/man1/raytrace-analyze.1

      raytrace-analyze man | man -l -
    """
    with writing():
        sys.stdout.writelines(f"{line}\n" for line in _page(ctx.find_root().command))


def _page(program: Any) -> Iterator[str]:
    yield '.TH RAYTRACE\\-ANALYZE 1 "" "raytrace\\-analyze" "User Commands"'
    yield ".SH NAME"
    yield "raytrace\\-analyze \\- tell from span files why a Ray job took as long as it did"
    yield ".SH SYNOPSIS"
    yield ".B raytrace\\-analyze"
    yield "COMMAND [OPTIONS] [ARGUMENTS]"
    yield ".SH DESCRIPTION"
    yield from _text(program.help or "")
    for panel in PANELS:
        yield f".SH {panel.upper()}"
        for name, command in program.commands.items():
            if getattr(command, "rich_help_panel", None) == panel and not command.hidden:
                yield from _command(name, command)
    yield ".SH EXIT STATUS"
    for code, meaning in EXIT_CODES.items():
        yield from (".TP", f".B {code}", _escaped(meaning))
    yield ".SH FILES"
    yield from (
        ".TP",
        ".I spans.parquet, raytrace-record/spans.parquet",
        "The table that commands read without another.",
    )
    yield from (".TP", ".I raytrace.toml", "Defaults of options; also [tool.raytrace\\-analyze] in pyproject.toml.")


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [one.metavar for one in command.params if one.param_type_name == "argument"]
    yield f".SS {_escaped(' '.join([name, *filter(None, arguments)]))}"
    yield from _text(command.help or "")
    for parameter in command.params:
        told = getattr(parameter, "help", None)
        if told:
            yield from (".TP", f".B {_escaped(_usage(parameter))}", _escaped(told))


def _usage(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    words = ", ".join(parameter.opts)
    choices = [str(getattr(choice, "value", choice)) for choice in getattr(parameter.type, "choices", ())]
    value = "" if parameter.is_flag else parameter.metavar or "|".join(choices) or "VALUE"
    return f"{words} {value}".strip()


def _text(text: str) -> Iterator[str]:
    """Give paragraphs; what is indented stays as it is."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        is_example = paragraph.startswith((" ", "\t")) or paragraph.lstrip().startswith("raytrace-analyze ")
        if is_example:
            yield from (".PP", ".RS 4", ".nf", *map(_escaped, map(str.strip, paragraph.splitlines())), ".fi", ".RE")
        elif paragraph.strip():
            yield from (".PP", _escaped(" ".join(paragraph.split())))


def _escaped(text: str) -> str:
    r"""Write text as roff shows it: backslashes, dashes, and no request at the start of a line."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain
