"""Which spans an analysis is about: a job, a session, a trace or a task."""

from functools import cached_property

import numpy as np
import polars as pl

from raytrace_analyze.choices import as_name
from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.attributes import told
from raytrace_analyze.names.functions import short_names
from raytrace_analyze.names.serve import REQUEST_ID, is_handle, is_proxy, is_route
from raytrace_analyze.table.filled.served import rejoin_requests
from raytrace_analyze.table.lineage import RowIds, cut_circles, nearest_ancestor, parent_rows
from raytrace_analyze.text.closest import did_you_mean
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import ScopeKind

_CHOICES = 8


@frozen
class ScopeKey:
    """A scope as the user can name it."""

    kind: str
    """One of `ScopeKind`, but for tasks."""
    id: str
    session: str

    @property
    def chosen_by(self) -> str:
        """What a person writes to choose this job, or the session whose spans have none, and no other."""
        return f"{self.session}/{self.id}" if self.kind == ScopeKind.JOB else self.session


@frozen
class Scopes:
    """The scopes of one kind in a table."""

    of_row: RowIds
    """By row: the number of its scope."""
    table: pl.DataFrame
    """By number of the scope: `kind`, `id`, `session`."""

    @cached_property
    def keys(self) -> list[ScopeKey]:
        """By number of the scope: what it is called."""
        return [ScopeKey(*row) for row in self.table.iter_rows()]


def read_scopes(spans: pl.DataFrame, kind: str) -> Scopes:
    """Find the scopes of one kind: `jobs` (and, for spans without a job, sessions), `traces` or `requests`."""
    return Scopes(*scope_table(spans, kind))


def number_scopes(spans: pl.DataFrame, kind: str) -> tuple[RowIds, list[ScopeKey]]:
    """Number the scopes of one kind: `jobs` (and, for spans without a job, sessions) or `traces`.

    Gives the number of each row's scope and what each number stands for.
    """
    scope_of, scopes = scope_table(spans, kind)
    return scope_of, [ScopeKey(*row) for row in scopes.iter_rows()]


def scope_table(spans: pl.DataFrame, kind: str) -> tuple[RowIds, pl.DataFrame]:
    """Number the scopes of one kind, as `number_scopes` does; what they are comes as columns kind, id and session."""
    if kind == "requests":
        return _requests(spans)
    keys = ["session", "job_id"] if kind == "jobs" else ["trace_id"]
    found = (
        spans.select(*dict.fromkeys((*keys, "session", "start")))
        .with_row_index("row")
        .group_by(keys)
        .agg("row", pl.col("start").min(), *([] if "session" in keys else [pl.col("session").min()]))
        .sort("start", *keys)
    )
    rows = found.get_column("row")
    scope_of = np.empty(spans.height, dtype=np.int64)
    scope_of[rows.explode().to_numpy()] = np.repeat(np.arange(found.height), rows.list.len().to_numpy())
    if kind == "traces":
        return scope_of, found.select(kind=pl.lit(str(ScopeKind.TRACE)), id="trace_id", session="session")
    is_job = pl.col("job_id").is_not_null()
    return scope_of, found.select(
        kind=pl.when(is_job).then(pl.lit(str(ScopeKind.JOB))).otherwise(pl.lit(str(ScopeKind.SESSION))),
        id=pl.coalesce("job_id", "session"),
        session="session",
    )


def _requests(spans: pl.DataFrame) -> tuple[RowIds, pl.DataFrame]:
    """Number the requests of Ray Serve: each is what lies below the first of its spans; -1 for what is in none.

    A request that comes to a proxy is one by itself, also where a handler or a traced client sent it. What is
    submitted after the end of what it lies in is none of the request's: a router that goes on asks for others.
    """
    name = spans.get_column("name")
    is_served = (is_proxy(name) | is_route(name) | is_handle(name)).to_numpy()
    start = spans.get_column("start").to_physical().to_numpy()
    span_id = spans.get_column("span_id")
    parent, _ = cut_circles(parent_rows(spans), start, span_id)
    parent, _ = cut_circles(rejoin_requests(spans, parent), start, span_id)
    begins = is_served & ((nearest_ancestor(parent, is_served) < 0) | is_proxy(name).to_numpy())
    first = np.flatnonzero(begins)
    first = first[np.lexsort((first, start[first]))]
    number = np.full(spans.height, -1, dtype=np.int64)
    number[first] = np.arange(first.size)
    above, end = np.maximum(parent, 0), spans.get_column("end").to_physical().to_numpy()
    is_late = (parent >= 0) & ~(start < end[above])
    leads_away = is_late & ~is_served & (spans.get_column("category") == "submit").to_numpy()
    entry = np.where(begins, np.arange(spans.height), nearest_ancestor(parent, begins | leads_away))
    of_row = np.where((entry >= 0) & ~leads_away, number[entry], -1)
    about = spans.select("trace_id", "session", request=told(pl.col("attributes"), REQUEST_ID))[first]
    return of_row, about.select(
        kind=pl.lit(str(ScopeKind.REQUEST), pl.String), id=pl.coalesce("request", "trace_id"), session="session"
    )


def find_request(keys: list[ScopeKey], wanted: str) -> int:
    """Find a request of Ray Serve by its id or the beginning of it. Raises UsageError like `find_job`."""
    wanted = as_name(wanted, "request")
    found = [number for number, key in enumerate(keys) if key.id.startswith(wanted)]
    exact = [number for number in found if keys[number].id == wanted]
    found = exact or found
    if len(found) == 1:
        return found[0]
    if not keys:
        raise UsageError("there are no requests of Ray Serve in these spans; `raytrace-analyze serve` says why")
    choices = ", ".join(keys[number].id for number in (found or range(len(keys)))[:_CHOICES])
    if not found:
        raise UsageError(f"no request {wanted!r} in these spans; there is {choices}")
    raise UsageError(f"request {wanted!r} is not unique; there is {choices}")


def find_job(keys: list[ScopeKey], wanted: str) -> int:
    """Find a job by `ID` or `SESSION/ID`; both may be cut short. A session without jobs is found by its name.

    Raises UsageError where there is none, or more than one; the message lists the choices.
    """
    wanted = as_name(wanted, "job")
    session, _, job = wanted.rpartition("/")
    if not wanted.strip("/"):
        raise UsageError(f"give the id of a job; there is {_choices(keys)}")
    exact = [number for number, key in enumerate(keys) if key.id == job and (not session or key.session == session)]
    close = exact or [
        number
        for number, key in enumerate(keys)
        # Spans that are not from Ray are in no session.
        if (key.id or "").startswith(job) and (key.session or "").startswith(session)
    ]
    close = close or [number for number, key in enumerate(keys) if key.session == wanted.rstrip("/")]
    if len(close) == 1:
        return close[0]
    if not close:
        known = [name for key in keys for name in (f"{key.session}/{key.id}", key.id) if name]
        meant = did_you_mean(wanted, known)
        raise UsageError(f"no job {wanted!r} in these spans{meant}; there is {_choices(keys)}")
    raise UsageError(f"job {wanted!r} is not unique; choose one of {_choices([keys[number] for number in close])}")


def find_trace(keys: list[ScopeKey], wanted: str) -> int:
    """Find a trace by its id or the beginning of it, with or without `0x`. Raises UsageError like `find_job`."""
    wanted = as_name(wanted, "trace")
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
    wanted = as_name(wanted, "task")
    task = spans.with_row_index("row").filter(pl.col("category") == "task")
    names = (
        pl.col("function") == wanted,
        pl.col("task_id") == wanted,
        pl.col("span_id") == wanted.removeprefix("0x"),
        pl.col("name") == wanted,
        pl.col("function").str.split(".").list.last() == wanted,
        pl.col("function").str.ends_with(f".{wanted}") | (short_names(pl.col("function")) == wanted),
    )
    for matches in names:
        found = task.filter(matches)
        if not found.is_empty():
            return found.get_column("row")
    _check_is_no_request(spans, wanted)
    known = task.select(short_names(pl.col("function"))).to_series().drop_nulls().unique().sort().to_list()
    there = f"; there is {', '.join(known[:_CHOICES])}" if known else "; there are no task runs at all"
    raise UsageError(f"no task {wanted!r} in these spans{did_you_mean(wanted, known)}{there}")


def _check_is_no_request(spans: pl.DataFrame, wanted: str) -> None:
    """Say where requests of Ray Serve are told, if what is wanted handles some: tasks of Ray's own bring them to it."""
    handled = spans.filter(is_handle(pl.col("name")), pl.col("function") == wanted)
    if handled.is_empty():
        return
    longest = handled.sort(pl.col("end") - pl.col("start"), "span_id", descending=[True, False], nulls_last=True)
    request = told(longest.get_column("attributes").head(1), REQUEST_ID).item()
    one = f", `raytrace-analyze critical-path --request {request}` of the one that took it longest" if request else ""
    raise UsageError(f"{wanted!r} handles requests of Ray Serve: `raytrace-analyze serve` tells of them all{one}")


def _choices(keys: list[ScopeKey]) -> str:
    named = [key.chosen_by for key in keys[:_CHOICES]]
    more = len(keys) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
