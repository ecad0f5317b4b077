"""`record`: run a Ray program as it is, with tracing on, then show its path."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from raytrace_analyze.command_line.default_table import RUN_FOLDER
from raytrace_analyze.command_line.traced import check_installed, merge_and_show, run_traced, say_command
from raytrace_analyze.commands.collect.collect import collect
from raytrace_analyze.errors import EXIT_OK, NoSpansError, NoWholeSpanError, RaytraceError, UsageError


def record(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="The Ray program; with -m the name of a module.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGS]...", help="What the program is given.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDR", help="A running cluster, like auto or 10.0.0.1:6379. Default: one of its own."),
    ] = None,
    is_module: Annotated[
        bool, typer.Option("-m", help="SCRIPT is a module, as with python -m; looked for from this folder on.")
    ] = False,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="FOLDER", help="Where to leave the span files and the table.")
    ] = RUN_FOLDER,
) -> None:
    """Run a Ray program as it is, with tracing on, then merge its spans and show what decided its time.

    The cluster need not have been started with tracing: nothing is restarted or installed there, and other programs
    on it stay untraced. The spans of all its machines are collected. Ends with the program's exit code. SIGINT,
    SIGTERM and SIGHUP are passed on to the program, which gets 20 s to end; what it did until then is shown. The run
    before is kept in FOLDER/earlier.

    Examples:

      raytrace-analyze record train.py --epochs 3

      raytrace-analyze record --address auto train.py

      raytrace-analyze record -m project.train --epochs 3
    """
    check_installed("record")
    if not is_module and not script.is_file():
        raise UsageError(f"{script} is not a file")
    raw, table = directory / "spans", directory / "spans.parquet"
    command = [
        sys.executable,
        "-m",
        "raytrace_analyze.ray_programs.traced_run",
        address or "",
        *(["-m"] if is_module else []),
        str(script),
        *(arguments or []),
    ]
    exit_code = run_traced(command, raw)
    shown = _show(raw, table, address, Path.cwd() if is_module else script.resolve().parent)
    raise typer.Exit(exit_code or shown)


def _show(raw: Path, table: Path, address: str | None, program: Path) -> int:
    """Show what the program did, which lies in the folder `program`.

    Gives the exit code that goes with it if the program's own is 0. What is wrong here is told, and does not take the
    place of the program's exit code.
    """
    from raytrace_analyze.views.screen.console import messages

    try:
        others = _other_machines(address, raw, table.parent / "nodes") if address else []
        if not any(raw.iterdir()) and not others:
            raise NoSpansError("nothing was recorded")
        merge_and_show(raw, table, *others, source=[program])
    except NoWholeSpanError as error:
        messages().print(f"raytrace-analyze: {error}", soft_wrap=True)
    except NoSpansError:
        messages().print("raytrace-analyze: the program ran no Ray task, so there is nothing to show", soft_wrap=True)
    except RaytraceError as error:
        messages().print(f"raytrace-analyze: {error}", soft_wrap=True)
        return error.exit_code
    return EXIT_OK


def _other_machines(address: str, raw: Path, folder: Path) -> list[Path]:
    """Collect what the program left on the machines of its cluster; gives the table of it, if there is any.

    Where the cluster is gone by now, what lies on this machine is shown all the same.
    """
    from raytrace_analyze.views.screen.console import messages

    say_command(f"collect --address {address} --path {raw.resolve()} -o {folder}")
    try:
        collect(str(folder), address, [str(raw.resolve())])
    except NoSpansError:
        return []
    except (UsageError, typer.Exit) as error:
        if isinstance(error, UsageError):
            messages().print(f"raytrace-analyze: {error}; only the spans of this machine are shown", soft_wrap=True)
    table = folder / "spans.parquet"
    return [table] if table.exists() else []
