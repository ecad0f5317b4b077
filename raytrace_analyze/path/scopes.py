"""Which spans an analysis is about: a job, a session, a trace or a task."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from raytrace_analyze.errors import UsageError
from raytrace_analyze.lineage import Rows

_CHOICES = 8


@dataclass(frozen=True)
class ScopeKey:
    """A scope as the user can name it."""

    kind: str
    """`job`, `session` or `trace`."""
    id: str
    session: str


def number_scopes(spans: pl.DataFrame, kind: str) -> tuple[Rows, list[ScopeKey]]:
    """Number the scopes of one kind: `jobs` (and, for spans without a job, sessions) or `traces`.

    Gives the number of each row's scope and what each number stands for.
    """
    keys = ["session", "job_id"] if kind == "jobs" else ["trace_id"]
    scopes = (
        spans.lazy()
        .with_columns(pl.col("session").min().over("trace_id") if kind == "traces" else pl.col("session"))
        .group_by(keys)
        .agg(pl.col("start").min(), *([] if "session" in keys else [pl.col("session").min()]))
        .sort("start", *keys)
        .with_row_index("scope")
        .collect()
    )
    scope_of = spans.join(
        scopes.select("scope", *keys), on=keys, how="left", nulls_equal=True, maintain_order="left"
    ).get_column("scope")
    found = []
    for row in scopes.iter_rows(named=True):
        if kind == "traces":
            found.append(ScopeKey("trace", row["trace_id"], row["session"]))
        elif row["job_id"] is None:
            found.append(ScopeKey("session", row["session"], row["session"]))
        else:
            found.append(ScopeKey("job", row["job_id"], row["session"]))
    return scope_of.to_numpy().astype(np.int64), found


def find_job(keys: list[ScopeKey], wanted: str) -> int:
    """Find a job by `ID` or `SESSION/ID`; both may be cut short. A session without jobs is found by its name.

    Raises UsageError where there is none, or more than one; the message lists the choices.
    """
    session, _, job = wanted.rpartition("/")
    exact = [number for number, key in enumerate(keys) if key.id == job and (not session or key.session == session)]
    close = exact or [
        number for number, key in enumerate(keys) if key.id.startswith(job) and key.session.startswith(session)
    ]
    if len(close) == 1:
        return close[0]
    if not close:
        raise UsageError(f"no job {wanted!r} in these spans; there is {_choices(keys)}")
    raise UsageError(f"job {wanted!r} is not unique; choose one of {_choices([keys[number] for number in close])}")


def find_trace(keys: list[ScopeKey], wanted: str) -> int:
    """Find a trace by its id or the beginning of it, with or without `0x`. Raises UsageError like `find_job`."""
    prefix = wanted.lower().removeprefix("0x")
    found = [number for number, key in enumerate(keys) if key.id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no trace {wanted!r} in these spans; `raytrace-analyze traces` lists them")
    choices = ", ".join(keys[number].id for number in found[:_CHOICES])
    raise UsageError(f"trace {wanted!r} is not unique; choose one of {choices}")


def find_runs(spans: pl.DataFrame, wanted: str) -> pl.Series:
    """Find the rows of task runs by function name, span name, task id or span id.

    A function can be named without its module. Raises UsageError where there is none.
    """
    task = spans.with_row_index("row").filter(pl.col("category") == "task")
    names = (
        pl.col("function") == wanted,
        pl.col("task_id") == wanted,
        pl.col("span_id") == wanted.removeprefix("0x"),
        pl.col("name") == wanted,
        pl.col("function").str.split(".").list.last() == wanted,
        pl.col("function").str.ends_with(f".{wanted}"),
    )
    for matches in names:
        found = task.filter(matches)
        if not found.is_empty():
            return found.get_column("row")
    known = task.get_column("function").drop_nulls().unique().sort().head(_CHOICES).to_list()
    there = f"; there is {', '.join(known)}" if known else "; there are no task runs at all"
    raise UsageError(f"no task {wanted!r} in these spans{there}")


def _choices(keys: list[ScopeKey]) -> str:
    named = [f"{key.session}/{key.id}" if key.kind == "job" else key.session for key in keys[:_CHOICES]]
    more = len(keys) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
