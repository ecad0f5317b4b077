"""The command line: the Typer app, and the one place where errors become messages and exit codes."""

import io
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer
from typer.core import TyperGroup

from raytrace_analyze.commands.advise import advise
from raytrace_analyze.commands.critical_path import critical_path
from raytrace_analyze.commands.demo import demo
from raytrace_analyze.commands.diff import diff
from raytrace_analyze.commands.doctor import doctor
from raytrace_analyze.commands.export import export
from raytrace_analyze.commands.hang import hang
from raytrace_analyze.commands.jobs import jobs
from raytrace_analyze.commands.merge import merge
from raytrace_analyze.commands.record import record
from raytrace_analyze.commands.stats import stats
from raytrace_analyze.commands.summary import summary
from raytrace_analyze.commands.traces import traces
from raytrace_analyze.commands.what_if import what_if
from raytrace_analyze.commands.why import why
from raytrace_analyze.errors import EXIT_OK, EXIT_USAGE, RaytraceError
from raytrace_analyze.printable import printable

_INTERRUPTED = 130
_TyperError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])
"""The base of Typer's errors for wrong usage, which has moved from one module to another."""


class _Program(TyperGroup):
    """The program: paths without a command are summed up."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put `summary` before paths that are there."""
        if args and args[0] not in self.commands and not args[0].startswith("-") and Path(args[0]).exists():
            args = ["summary", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="raytrace-analyze",
    cls=_Program,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_SHOWN = (merge, summary, critical_path, advise, what_if, why, hang, diff, stats, jobs, traces, export, doctor, demo)
for command in _SHOWN:
    app.command(command.__name__.replace("_", "-"))(command)
# What stands behind the script is the script's.
app.command("record", context_settings={"allow_interspersed_args": False})(record)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"raytrace-analyze {version('raytrace-analyze')}")
        raise typer.Exit


@app.callback()
def _program(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tell from span files why a Ray job took as long as it did.

    Start with: raytrace-analyze record script.py, or, with span files: raytrace-analyze FOLDER
    """


def main() -> None:
    """Run the command line.

    Never ends in a traceback for bad input, a full disk, a lack of memory or Ctrl-C; nothing in a message acts on the
    terminal.
    """
    try:
        # Otherwise Typer would show its own errors itself, with what was given as it was given.
        sys.exit(app(standalone_mode=False))
    except RaytraceError as error:
        _fail(str(error), error.exit_code)
    except _TyperError as error:
        told = io.StringIO()
        error.show(told)
        with suppress(OSError):
            typer.echo("\n".join(map(printable, told.getvalue().splitlines())), err=True)
        sys.exit(error.exit_code)
    except SystemExit as end:
        # Typer's answer to a reader that has gone is 1, which is a failed gate here.
        sys.exit(EXIT_OK if isinstance(end.__context__, BrokenPipeError) else end.code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        sys.exit(EXIT_OK)  # whoever read this has seen enough
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(printable(f"{where}{error.strerror or error}"), EXIT_USAGE)
    except MemoryError:
        _fail("there is not enough memory for this; give it fewer files at a time", EXIT_USAGE)


def _fail(message: str, exit_code: int) -> NoReturn:
    with suppress(OSError):
        typer.echo(f"raytrace-analyze: {message}", err=True)
    sys.exit(exit_code)
