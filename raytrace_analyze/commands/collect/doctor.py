"""`doctor`: is tracing on, and can what it recorded be relied on."""

from pathlib import Path
from typing import Annotated

import typer

from raytrace_analyze.command_line import options
from raytrace_analyze.command_line.memory import watch_memory
from raytrace_analyze.command_line.reading import write_plain
from raytrace_analyze.command_line.standard_input import check_read_once, given_files
from raytrace_analyze.errors import EXIT_GATE_FAILED, EXIT_OK


def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATHS]...",
            help="Span files, tables, folders of them, also of logs. Default: where the hook writes on this machine.",
            show_default=False,
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="ADDR", help="A running cluster, like auto or 10.0.0.1:6379.")
    ] = None,
    output_format: options.Format = options.OutputFormat.TABLE,
) -> None:
    """Tell whether tracing works, what is missing from the spans, and what to do about it.

    Without arguments it looks at this machine: does the hook load, where does it write, which variables keep spans
    back. With PATHS at what was recorded: who recorded it, what was lost, damaged, sampled, on which nodes nothing was.
    With --address at a running cluster: it sends a small task to each node and tells whether the hook runs there.
    Ends with 1 where a finding is serious.

    Examples:

      raytrace-analyze doctor /tmp/spans

      raytrace-analyze doctor --address auto
    """
    from raytrace_analyze.diagnosis.doctor import doctor as diagnose
    from raytrace_analyze.views.doctor.doctor_view import diagnosis_document, diagnosis_frame, show_diagnosis
    from raytrace_analyze.views.screen.console import output
    from raytrace_analyze.views.screen.progress import begin_work

    watch_memory()
    check_read_once(paths or ())
    begin_work()
    with given_files(paths or ()) as (given, _):
        found = diagnose(given, address=address)
    write_plain(
        output_format,
        table=lambda: show_diagnosis(found, output()),
        document=lambda: diagnosis_document(found),
        frame=lambda: diagnosis_frame(found),
    )
    raise typer.Exit(EXIT_GATE_FAILED if found.is_serious else EXIT_OK)
