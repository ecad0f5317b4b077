"""The command line: the Typer app, and the one place where errors become messages and exit codes."""

import io
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer

from raytrace_analyze.command_line.configuration import read_defaults
from raytrace_analyze.command_line.memory import set_limit
from raytrace_analyze.command_line.on_demand import Command, OnDemand
from raytrace_analyze.command_line.panels import COLLECT, EXPLAIN, LIBRARIES, LOOK, SHARE, Program
from raytrace_analyze.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, RaytraceError
from raytrace_analyze.interrupts import AsItCame
from raytrace_analyze.limited_memory import NOT_ENOUGH, is_limited
from raytrace_analyze.text.closest import did_you_mean
from raytrace_analyze.text.printable import printable

_NOT_ONE_OF = re.compile(r"'([^']*)' is not one of (.*)")
_NO_NUMBER = re.compile(r"(?<=is not a )valid (int|integer|float)(?: range)?(?=\.?$)")
_TyperError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])
"""The base of Typer's errors for wrong usage, which has moved from one module to another."""

_PANELS = {
    COLLECT: ("collect", ("record", "collect", "merge", "doctor", "demo")),
    LOOK: ("look", ("summary", "critical_path", "stats", "jobs", "traces", "tree", "watch")),
    EXPLAIN: ("explain", ("advise", "why", "what_if", "hang", "diff")),
    LIBRARIES: ("libraries", ("steps", "train", "tune", "data", "serve")),
    SHARE: ("share", ("report", "export", "man")),
}
"""The room of each panel of the help, and the commands' modules there in the order of the help."""

_SETTINGS_OF = {"record": {"allow_interspersed_args": False}}
"""What stands behind the script is the script's."""

_COMMANDS = {
    command.name: command
    for panel, (room, modules) in _PANELS.items()
    for command in (Command(f"{room}.{module}", panel, _SETTINGS_OF.get(module)) for module in modules)
}

_SETTINGS: dict[str, Any] = {
    "name": "raytrace-analyze",
    "no_args_is_help": True,
    "pretty_exceptions_show_locals": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def __getattr__(name: str) -> Any:
    """Give `app`, the Typer app with all commands, which are loaded for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = typer.Typer(**_SETTINGS)
    for command in _COMMANDS.values():
        command.add_to(app)
    app.callback()(_options)
    globals()[name] = app
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"raytrace-analyze {version('raytrace-analyze')}")
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="End a command that takes more memory: 4G, 80%, 0 for no limit. Default: half of it."
        ),
    ] = None,
) -> None:
    """Tell from span files why a Ray job took as long as it did.

    Start with: raytrace-analyze record yourscript.py, or, with span files: raytrace-analyze FOLDER
    """
    set_limit(max_memory)


def make_program() -> Program:
    """Make the program of its options, and of its commands as they are asked for."""
    bare = typer.Typer(cls=Program, **_SETTINGS)
    bare.callback()(_options)
    program = cast("Program", typer.main.get_command(bare))
    program.commands = cast("Any", OnDemand(_COMMANDS))
    return program


def main() -> None:
    """Run the command line.

    Never ends in a traceback for bad input, a full disk, a lack of memory or Ctrl-C; nothing in a message acts on the
    terminal.
    """
    configured: Path | None = None
    try:
        program = make_program()
        defaults, configured = read_defaults(program)
        # Otherwise Typer would show its own errors itself, with what was given as it was given.
        with AsItCame():
            sys.exit(program(standalone_mode=False, default_map=defaults))
    except RaytraceError as error:
        _fail(str(error), error.exit_code)
    except _TyperError as error:
        told = io.StringIO()
        error.show(told)
        lines = list(map(_kinder, told.getvalue().splitlines()))
        lines += [f"({configured} sets defaults of options here.)"] if configured else []
        with suppress(OSError):
            typer.echo("\n".join(map(printable, lines)), err=True)
        sys.exit(error.exit_code)
    except SystemExit as end:
        # Typer's answer to a reader that has gone is 1, which is a failed gate here.
        sys.exit(EXIT_OK if isinstance(end.__context__, BrokenPipeError) else end.code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.exit(EXIT_OK)  # whoever read this has seen enough
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(printable(f"{where}{error.strerror or error}"), EXIT_USAGE)
    except ValueError as error:
        if "embedded null" not in str(error):
            raise
        _fail("a path that was given has a NUL character in it", EXIT_USAGE)
    except MemoryError:
        _fail(NOT_ENOUGH, EXIT_USAGE)
    except BaseException as error:
        # Not named: the library that it is of need not be loaded.
        if type(error).__name__ != "PanicException":
            raise
        what = NOT_ENOUGH if is_limited() else f"a library gave up, which is a bug: {printable(str(error))}"
        _fail(what, EXIT_USAGE)


def _number_wanted(found: re.Match[str]) -> str:
    return "number" if found[1] == "float" else "whole number"


def _kinder(line: str) -> str:
    """Say which of the choices may have been meant, where the line of an error lists them."""
    line = _NO_NUMBER.sub(_number_wanted, line.replace(": Value error, ", ": "))
    found = _NOT_ONE_OF.search(line)
    meant = did_you_mean(found[1], re.findall(r"'([^']*)'", found[2])) if found else ""
    return line.removesuffix(".") + meant if meant else line


def _fail(message: str, exit_code: int) -> NoReturn:
    with suppress(OSError):
        typer.echo(f"raytrace-analyze: {message}", err=True)
    sys.exit(exit_code)
