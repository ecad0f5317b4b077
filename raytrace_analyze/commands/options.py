"""Options and arguments that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from raytrace_analyze.errors import UsageError


class OutputFormat(StrEnum):
    """How a result is written to standard output."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Spans = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[SPANS]...",
        help="A Parquet file or folder written by merge, or raw span files and folders. Default: spans.parquet.",
        show_default=False,
    ),
]
Format = Annotated[OutputFormat, typer.Option("--format", "-f", help="table for reading; json and csv for programs.")]
Job = Annotated[str | None, typer.Option("--job", metavar="ID", help="A job: its ID, or SESSION/ID where ids repeat.")]
Trace = Annotated[str | None, typer.Option("--trace", metavar="ID", help="A trace, by its id or the beginning of it.")]
Task = Annotated[
    str | None,
    typer.Option("--task", metavar="NAME|ID", help="A task: its function or id; of several runs the slowest."),
]
NoInfer = Annotated[
    bool, typer.Option("--no-infer", help="Do not tell unrecorded waits from times; use only what is certain.")
]
ClockCorrect = Annotated[
    bool,
    typer.Option(
        "--clock-correct/--no-clock-correct",
        help="Shift the times of machines whose clocks are proven to be off (default); the files stay as they are.",
    ),
]


def read_share(text: str, option: str) -> float:
    """Read a percentage, `5%` or `5`, as a share. Raises UsageError for anything else, and names the option."""
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 < percent <= 100:
        raise UsageError(f"--{option} takes a percentage such as 5%, not {text!r}")
    return percent / 100
