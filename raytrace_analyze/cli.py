"""The command line: the Typer app, and the one place where errors become messages and exit codes."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from raytrace_analyze.commands.advise import advise
from raytrace_analyze.commands.critical_path import critical_path
from raytrace_analyze.commands.demo import demo
from raytrace_analyze.commands.diff import diff
from raytrace_analyze.commands.export import export
from raytrace_analyze.commands.hang import hang
from raytrace_analyze.commands.jobs import jobs
from raytrace_analyze.commands.merge import merge
from raytrace_analyze.commands.record import record
from raytrace_analyze.commands.stats import stats
from raytrace_analyze.commands.traces import traces
from raytrace_analyze.commands.what_if import what_if
from raytrace_analyze.commands.why import why
from raytrace_analyze.errors import RaytraceError

_INTERRUPTED = 130

app = typer.Typer(
    name="raytrace-analyze",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (merge, critical_path, advise, what_if, why, hang, diff, stats, jobs, traces, export, demo):
    app.command(command.__name__.replace("_", "-"))(command)
# What stands behind the script is the script's.
app.command("record", context_settings={"allow_interspersed_args": False})(record)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"raytrace-analyze {version('raytrace-analyze')}")
        raise typer.Exit


@app.callback()
def _program(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tell from span files why a Ray job took as long as it did.

    Start with: raytrace-analyze merge /tmp, then: raytrace-analyze critical-path
    """


def main() -> None:
    """Run the command line; never ends in a traceback for bad input."""
    try:
        app()
    except RaytraceError as error:
        typer.echo(f"raytrace-analyze: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
