"""Arguments that were given in each other's places: what was meant."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from raytrace_analyze.command_line.panels import called
from raytrace_analyze.command_line.standard_input import DASH
from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.text.closest import closest

_FORMS = (
    (re.compile(r"(?:[\w.-]+/)?[0-9a-f]{8}"), "--job"),
    (re.compile(r"(?:0x)?[0-9a-f]{32}"), "--trace"),
    (re.compile(r"[0-9a-f]{48}|[0-9a-f]{16}"), "--task"),
    (re.compile(r"[^/=]+=\d+(\.\d+)?x?"), "--speedup"),
)
"""How ids look: of jobs, traces, tasks and spans; and changes of `what-if`."""
_TAKES = {"--speedup": "what-if"}
"""The command to name where the one that was called does not take an option; else the critical path does."""


def check_paths(given: Sequence[Path], table: Path) -> None:
    """Raise UsageError for a path that is not there and looks like an id, or like a function of the `table`.

    What else is not there is left to who opens it.
    """
    for path in given:
        meant = None if path == DASH or path.exists() else _meant(str(path), table)
        if meant is not None:
            option, value = meant
            others = "".join(f" {shlex.quote(str(other))}" for other in given if other != path)
            command = f"raytrace-analyze {_taking(option)}{others} {option} {shlex.quote(value)}"
            raise UsageError(f"{path} does not exist as a file; did you mean: {command}")


def check_order(task: str, spans: Sequence[Path] | None) -> None:
    """Raise UsageError where a file stands in the place of a task."""
    if not spans and Path(task).is_file():
        raise UsageError(f"{task} is a file; name the task first: raytrace-analyze why TASK {shlex.quote(task)}")
    if spans and Path(task).exists() and not spans[0].exists():
        name = _function(str(spans[0]), Path(task)) or str(spans[0])
        meant = f"raytrace-analyze why {shlex.quote(name)} {shlex.quote(task)}"
        raise UsageError(f"{task} is there as a file, and {spans[0]} is not; did you mean: {meant}")


def _taking(option: str) -> str:
    """Name a command that takes an option: the one that was called, if it does."""
    name, options = called()
    return name if option in options else _TAKES.get(option, "critical-path")


def _meant(text: str, table: Path) -> tuple[str, str] | None:
    """Give the option that was meant, and its value."""
    for form, option in _FORMS:
        if form.fullmatch(text):
            return option, text
    function = _function(text, table)
    return None if function is None else ("--task", function)


def _function(text: str, table: Path) -> str | None:
    """Give the function of a table that is called so, or else nearly so; None for none, and for what is no table.

    What has a dot or a slash may be a file's name: such a text has to be a function's to the letter.
    """
    import polars as pl

    if not table.is_file():
        return None
    try:
        known = pl.scan_parquet(table, glob=False).select(pl.col("function").drop_nulls().unique().sort()).collect()
    except (OSError, pl.exceptions.PolarsError):
        return None
    names = [short_name(name) for name in known.get_column("function")]
    if text in {form for name in known.get_column("function") for form in (name, name.rpartition(".")[2])}:
        return text
    return next(iter(closest(text, names)), None) if text.isidentifier() else None
