"""Span tables of every kind of nonsense, and the small helpers that make tables in tests.

In these tables clocks contradict each other, parents form circles or are missing, spans take no time or less,
ends are missing, and ids are used for whatever comes. Every analysis must come to an end on them.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import polars as pl
from hypothesis import strategies as st

from raytrace_analyze.schema import TABLE
from tests.oracle import prepare

Row = dict[str, Any]
Choice = TypeVar("Choice")
Choose = Callable[[Sequence[Choice]], Choice]

_DEFAULTS = {
    "trace_id": "t1", "name": "span", "kind": "INTERNAL", "category": "custom", "status": "UNSET",
    "status_message": "", "attributes": "{}", "events": "[]", "links": "[]", "resource": "{}",
    "source": "test.jsonl",
}  # fmt: skip
_AWAITED = tuple(json.dumps({"raytrace.awaited": what}) for what in ("asyncio.Event.wait", "asyncio.sleep"))
_NAMES = {"driver": "ray.driver", "put": "ray.put", "wait": "ray.get"}


def span_table(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Make a span table (columns of `schema.TABLE`) of rows with times in whole nanoseconds."""
    times = ("start", "end", "profile_store_outputs_end", "state_pending_node_assignment")
    columns = {name: pl.Int64 if name in times else dtype for name, dtype in TABLE.items()}
    whole = [dict.fromkeys(TABLE) | _DEFAULTS | dict(row) for row in rows]
    table = pl.DataFrame(whole, schema=columns).with_columns(pl.col(times).cast(TABLE["start"]))
    return table.sort("start", "trace_id", "span_id")


def scopes(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Give every scope of a table, as the arguments that name it: all jobs, traces and runs."""
    named = table.filter(pl.col("session").is_not_null())
    jobs = named.filter(pl.col("job_id").is_not_null()).select("session", "job_id").unique().sort(pl.all())
    runs = named.filter(pl.col("category").cast(pl.String) == "task")
    found: list[tuple[Literal["job", "trace", "task"], str | None, str]] = [
        *(("job", session, job_id) for session, job_id in jobs.iter_rows()),
        *(("trace", None, trace_id) for trace_id in table["trace_id"].unique().sort()),
        *(("task", session, span_id) for session, span_id in runs.select("session", "span_id").iter_rows()),
    ]
    return [{"scope": kind, "session": session, "scope_id": scope_id} for kind, session, scope_id in found]


@st.composite
def random_spans(draw: st.DrawFn, max_spans: int = 10) -> pl.DataFrame:
    """Give tables of nonsense that shrink well."""
    return _table(lambda options: draw(st.sampled_from(options)), draw(st.integers(1, max_spans)))


def random_table(seed: int, max_spans: int = 30) -> pl.DataFrame:
    """Give the table of nonsense of a seed: much faster than `random_spans`."""
    chosen = random.Random(seed)
    return _table(chosen.choice, chosen.randint(1, max_spans))


def _table(choose: Choose[Any], size: int) -> pl.DataFrame:
    """Make a table of nonsense, half of the time one with some sense in most rows."""
    scale = choose((1, 20_000_000))
    is_tidy = choose((True, False))
    rows: list[Row] = []
    for number in range(size):
        row = _row(choose, number, size)
        rows.append(row | _tidied(choose, row, rows) if is_tidy and choose((True,) * 9 + (False,)) else row)
    traces = {row["span_id"]: row["trace_id"] for row in rows}
    for row in rows:
        if choose((True, True, True, True, False)):
            row["trace_id"] = traces.get(row["parent_id"], row["trace_id"])
        if row["kind"] == "CONSUMER" and row["end"] is not None and row["end"] > 0:
            stored = choose((None, None, 0, 1, 3, 8))
            row["profile_store_outputs_end"] = stored and (row["start"] + row["end"] + stored) * scale
        if row["kind"] == "CONSUMER":
            there = choose((None, None, 0, 1, 5, 12, -2))
            row["state_pending_node_assignment"] = None if there is None else max(row["start"] - there, 0) * scale
        row["end"] = None if row["end"] is None else max(row["start"] + row["end"], 0) * scale
        row["start"] *= scale
    return _with_categories(rows)


def _row(choose: Choose[Any], number: int, size: int) -> Row:
    """Make a row; the end is a duration still."""
    kind = choose(("INTERNAL", "PRODUCER", "CONSUMER", "INTERNAL", "PRODUCER", "CONSUMER", "SERVER"))
    parent = choose((None, "missing", *range(size), *range(number)))
    return {
        "span_id": f"{number:016x}",
        "parent_id": f"{parent:016x}" if isinstance(parent, int) else parent,
        "kind": kind,
        "start": choose(range(20)),
        "end": choose((1, 2, 3, 5, 8, 13, 20, 0, -4, None)),
        "category": choose(("custom", "custom", "custom", "driver", "put")) if kind == "INTERNAL" else "custom",
        **_identity(choose),
        **_relations(choose, kind),
    }


def _tidied(choose: Choose[Any], row: Row, before: list[Row]) -> Row:
    """Give what makes sense of a row: a parent of the right kind, a start after the parent's, one job.

    A run starts after the last one of its actor or worker.
    """
    is_run = row["kind"] == "CONSUMER"
    fitting = [other for other in before if (other["kind"] == "PRODUCER") == is_run]
    parent: Row = choose((*fitting, {})) if fitting else {}
    lane = "worker_id" if row["actor_id"] is None else "actor_id"
    earlier = [other for other in before if is_run and other["kind"] == "CONSUMER" and other[lane] == row[lane]]
    free_at = max((other["start"] + (other["end"] or 0) for other in earlier), default=0)
    return {
        "parent_id": parent.get("span_id"),
        "start": max(parent.get("start", 0) + choose((0, 1, 2, 4, 7, 12)), free_at + choose((0, 1, 2))),
        "end": choose((1, 2, 3, 5, 8, 13, 30, None)),
        "trace_id": "t1",
        "session": "s1",
        "job_id": "j1",
        "task_id": parent.get("submitted_task_id", row["task_id"]) if is_run else row["task_id"],
        "node_id": "n1",
        "pid": 1,
        "records_waits": choose((True, True, True, False)),
    }


def _identity(choose: Choose[Any]) -> Row:
    return {
        "trace_id": choose(("t1", "t2")),
        "session": choose(("s1", "s1", "s1", "s1", "s1", "s2", None)),
        "job_id": choose(("j1", "j1", "j1", "j2", None)),
        "function": choose((None, "f", "A.m", "A.__init__")),
        "task_id": choose(("a", "b", "c", "d", None, "", "nonsense")),
        "actor_id": choose((None, None, None, "x", "y")),
        "node_id": choose(("n1", "n1", "n2", None)),
        "worker_id": choose((None, "w1", "w2")),
        "pid": choose((1, 1, 2, None)),
        "attempt": choose((None, 0, 1, 2)),
        "records_waits": choose((True, True, False, None)),
        "concurrent": choose((False, None, False, None, True)),
    }


def _relations(choose: Choose[Any], kind: str) -> Row:
    task_ids = ("a", "b", "c", "d", "", "unheard of")
    lists = (None, None, None, [], *([task_id] for task_id in task_ids), ["a", "b"], ["b", "c", "d"])
    is_submit = kind == "PRODUCER"
    return {
        "submitted_task_id": choose((None, *task_ids)) if is_submit else None,
        "dependency_task_ids": choose(lists) if is_submit else None,
        "ready_task_ids": choose(lists) if choose((not is_submit, False, False)) else None,
        "attributes": choose(("{}", *_AWAITED)),
    }


def _with_categories(rows: list[Row]) -> pl.DataFrame:
    """Give each row the category that its kind, its parent and its lists make it."""
    runs = {span.span_id for span in prepare(span_table(rows)) if span.is_run}
    for row in rows:
        if row["kind"] == "PRODUCER":
            row["category"] = "submit"
        elif row["span_id"] in runs:
            row["category"] = "task"
        elif row["ready_task_ids"] is not None:
            row["category"] = "wait"
        row["name"] = _NAMES.get(row["category"], "span")
        if row["category"] == "wait" and row["attributes"] != "{}":
            row["name"] = "await"
            row["ready_task_ids"] = [] if int(row["span_id"], 16) % 3 else row["ready_task_ids"]
    return span_table(rows)
