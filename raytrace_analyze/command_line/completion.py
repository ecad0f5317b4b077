"""What the shell completes: function names, jobs and traces of the table that the command would read."""

import re
from collections.abc import Iterable
from pathlib import Path

import typer

from raytrace_analyze.command_line.default_table import default_table
from raytrace_analyze.names.functions import short_name

_SHELL_SAFE = re.compile(r"[\w.:/-]+")
"""Names of anything else are not offered: a shell would act on what stands in them."""

_MOST = 200


def functions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the functions of the table, without Ray's `__main__.`."""
    names = (short_name(name) for name in _values(ctx, "function"))
    return _offered(names, incomplete)


def speedups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the functions of the table as `NAME=2`."""
    return [f"{name}=2" for name in functions(ctx, incomplete.partition("=")[0])]


def jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the ids of the jobs of the table."""
    return _offered(_values(ctx, "job_id"), incomplete)


def traces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the ids of the traces of the table."""
    return _offered(_values(ctx, "trace_id"), incomplete)


def _offered(values: Iterable[str], incomplete: str) -> list[str]:
    found = {value for value in values if value.startswith(incomplete) and _SHELL_SAFE.fullmatch(value)}
    return sorted(found)[:_MOST]


def _values(ctx: typer.Context, column: str) -> list[str]:
    """Give what stands in a column of the first table named so far, or the default one; nothing where that fails."""
    import polars as pl

    given = ctx.params.get("spans") or []
    tables = [Path(path) for path in given] or [default_table()]
    try:
        table = next(path for path in tables if path.is_file())
        found = pl.scan_parquet(table, glob=False).select(pl.col(column).drop_nulls().unique()).collect()
    except (StopIteration, OSError, TypeError, pl.exceptions.PolarsError):
        return []
    return [str(value) for value in found.get_column(column)]
