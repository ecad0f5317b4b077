"""Options and arguments that several commands share."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raytrace_analyze.command_line import completion
from raytrace_analyze.errors import UsageError
from raytrace_analyze.vocabulary import options as words

if TYPE_CHECKING:
    from fractions import Fraction


class OutputFormat(StrEnum):
    """How a result is written to standard output."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Spans = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[SPANS]...",
        help="A table written by merge, or raw span files and folders; - for standard input. Default: spans.parquet, "
        "or what record left.",
        show_default=False,
    ),
]
Format = Annotated[OutputFormat, typer.Option("--format", "-f", help="table for reading; json and csv for programs.")]
Job = Annotated[
    str | None,
    typer.Option(
        "--job", metavar="ID", autocompletion=completion.jobs, help="A job: its ID, or SESSION/ID where ids repeat."
    ),
]
Trace = Annotated[
    str | None,
    typer.Option(
        "--trace", metavar="ID", autocompletion=completion.traces, help="A trace, by its id or the beginning of it."
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="NAME|ID",
        autocompletion=completion.functions,
        help="A task: its function or id; of several runs the slowest.",
    ),
]
NoInfer = Annotated[
    bool, typer.Option("--no-infer", help="Do not tell unrecorded waits from times; use only what is certain.")
]
HadSlots = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="How many CPUs there were. Without it that is told from the spans."),
]
Source = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER",
        help="A folder with the program's source, besides this one; repeatable. No source elsewhere is read.",
    ),
]
ClockCorrect = Annotated[
    bool,
    typer.Option(
        "--clock-correct/--no-clock-correct",
        help="Shift the times of machines whose clocks are proven to be off (default); the files stay as they are.",
    ),
]
Engine = Annotated[
    words.Engine,
    typer.Option("--engine", help="local: on this machine. ray: on a Ray cluster, whose nodes all see the files."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="ADDR", help="With --engine ray: the cluster. Default: auto.", show_default=False
    ),
]


def read_percent(text: str, option: str, *, at_most: int | None = 100) -> "Fraction":
    """Read a percentage as a share: `5%` and `5` are 1/20, `0` is nothing.

    A number below 1 without the sign may be meant as a share, so it has to say. Raises UsageError for anything else;
    the message names the option.
    """
    from fractions import Fraction

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text, re.ASCII)
    if match is None:
        raise UsageError(f"--{option} takes a percentage such as 5%, not {text!r}")
    number = Fraction(match[1])
    if 0 < number < 1 and not match[2]:
        raise UsageError(
            f"--{option} {match[1]} can be read in two ways; write {float(number * 100):g}% or {match[1]}%"
        )
    if at_most is not None and number > at_most:
        raise UsageError(f"--{option} takes at most {at_most}%, not {text!r}")
    return number / 100
