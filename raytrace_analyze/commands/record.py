"""`record`: run a Ray program as it is, with tracing on, then show its path."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from raytrace_analyze.commands.traced import check_installed, merge_and_show, run_traced
from raytrace_analyze.errors import EXIT_OK, NoSpansError, NoWholeSpanError, RaytraceError, UsageError


def record(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="The Ray program.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGS]...", help="What the program is given.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDR", help="A running cluster, like auto or 10.0.0.1:6379. Default: one of its own."),
    ] = None,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="FOLDER", help="Where to leave the span files and the table.")
    ] = Path("raytrace-record"),
) -> None:
    """Run a Ray program as it is, with tracing on, then merge its spans and show what decided its time.

    The cluster need not have been started with tracing: nothing is restarted or installed there, and other programs
    on it stay untraced. Of a cluster of several machines, the spans of this one are shown. Ends with the program's
    exit code. SIGINT, SIGTERM and SIGHUP are passed on to the program, which gets 20 s to end; what it did until then
    is shown. The run before is kept in FOLDER/earlier.

    Examples:

      raytrace-analyze record train.py --epochs 3

      raytrace-analyze record --address auto train.py
    """
    check_installed("record")
    if not script.is_file():
        raise UsageError(f"{script} is not a file")
    raw, table = directory / "spans", directory / "spans.parquet"
    command = [
        sys.executable,
        "-m",
        "raytrace_analyze.ray_programs.traced_run",
        address or "",
        str(script),
        *(arguments or []),
    ]
    exit_code = run_traced(command, raw)
    shown = _show(raw, table)
    raise typer.Exit(exit_code or shown)


def _show(raw: Path, table: Path) -> int:
    """Show what the program did; gives the exit code that goes with it if the program's own is 0.

    What is wrong here is told, and does not take the place of the program's exit code.
    """
    try:
        if not any(raw.iterdir()):
            raise NoSpansError("nothing was recorded")
        merge_and_show(raw, table)
    except NoWholeSpanError as error:
        typer.echo(f"raytrace-analyze: {error}", err=True)
    except NoSpansError:
        typer.echo("raytrace-analyze: the program ran no Ray task, so there is nothing to show", err=True)
    except RaytraceError as error:
        typer.echo(f"raytrace-analyze: {error}", err=True)
        return error.exit_code
    return EXIT_OK
