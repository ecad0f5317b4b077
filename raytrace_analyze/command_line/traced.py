"""What `demo` and `record` share: run a Ray program with tracing on, merge what it wrote, show its path."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raytrace_analyze.errors import UsageError

if TYPE_CHECKING:
    from raytrace_analyze.prepared import PreparedTrace

_NEEDED = ("ray", "raytrace_hook")


def check_installed(command: str) -> None:
    """Raise UsageError unless Ray and the hook are there."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"{command} needs {' and '.join(missing)}: pip install 'raytrace-analyze[demo]'")


def run_traced(command: Sequence[str], raw: Path) -> int:
    """Run a command whose span files go to the folder `raw`, and give its exit code as a shell would.

    What an earlier run has left there is kept beside it. Raises UsageError where the folder cannot be used.
    """
    from raytrace_analyze.ray_programs.run_folder import prepare_run
    from raytrace_analyze.ray_programs.running import run_program
    from raytrace_analyze.views.screen.console import messages

    if kept := prepare_run(raw):
        messages().print(f"The run before is kept in {kept}.", markup=False, soft_wrap=True)
    return run_program(command, {**os.environ, "RAYTRACE_DIR": str(raw.resolve())})


def merge_and_show(raw: Path, table: Path, *others: Path, source: Sequence[Path] = ()) -> "PreparedTrace":
    """Merge the span files in `raw` and `others` into `table`; show the summary and the path.

    `source` are the folders of the program, which may be read. Says each command that would do so. Gives what is in the
    table, as those commands read it.
    """
    from raytrace_analyze.files.output import strictest_mode
    from raytrace_analyze.ingest.loading import load
    from raytrace_analyze.path.one_scope import critical_path
    from raytrace_analyze.prepared import prepare
    from raytrace_analyze.table.assemble import write_table
    from raytrace_analyze.verdict.summary import summary
    from raytrace_analyze.views.paths.path_view import show_path
    from raytrace_analyze.views.screen.console import messages, output
    from raytrace_analyze.views.screen.progress import begin_work, end_work, progress_shown
    from raytrace_analyze.views.spans_read.merge_view import show_report
    from raytrace_analyze.views.summary_view import show_summary

    say_command(f"merge {' '.join(map(str, (raw, *others)))} -o {table}")
    with progress_shown("merging") as progress:
        found = load([raw, *others], progress=progress)
    try:
        write_table(found.spans, table, mode=strictest_mode(found.report.files), problems=found.report.all_problems)
    except OSError as error:
        raise UsageError(f"cannot write {table}: {error.strerror or error}") from error
    show_report(found.report, messages())
    prepared = prepare(load([table]).spans)
    say_command(f"summary {' '.join(map(str, (table, *(f'--source {folder}' for folder in source))))}")
    begin_work()
    summed_up = summary(prepared, source=source)
    end_work()
    show_summary(summed_up, output())
    say_command(f"critical-path {table}")
    show_path(critical_path(prepared), output(), top=15, by="function")
    return prepared


def say_command(arguments: str) -> None:
    """Print the command that does what follows."""
    from raytrace_analyze.views.screen.console import messages

    messages().print()
    messages().print(f"$ raytrace-analyze {arguments}", style="bold", soft_wrap=True)
