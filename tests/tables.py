"""Span tables by hand: a few words a span, times in whole ns."""

from typing import Any

import polars as pl

from raytrace_analyze.schema import DECODED
from raytrace_analyze.table.assemble import assemble

Row = dict[str, Any]


def span(span_id: str, start: int, end: int | None, parent: str | None = None, **columns: Any) -> Row:
    """A span nested in its parent, by default INTERNAL, in trace `t` of session `s`, job `01`, process 1."""
    name = columns.pop("name", span_id)
    return {
        "trace_id": "t", "span_id": span_id, "parent_id": parent, "name": name, "kind": "INTERNAL",
        "start": start, "end": end, "status": "UNSET", "session": "s", "job_id": "01", "node_id": "n", "pid": 1,
        "attributes": "{}", "events": "[]", "links": "[]", "resource": "{}", "source": "f", **columns,
    }  # fmt: skip


def submit(span_id: str, start: int, end: int, parent: str | None = None, **columns: Any) -> Row:
    """A submit: `f.remote()` in its parent."""
    return span(span_id, start, end, parent, kind="PRODUCER", **{"function": "f", **columns})


def run(span_id: str, start: int, end: int | None, parent: str | None, task: str | None = None, **columns: Any) -> Row:
    """A run of a task, submitted by its parent, in a process of its own."""
    own = {"function": "f", "pid": 1000 + sum(map(ord, span_id)), "worker_id": f"w-{span_id}", "task_id": task}
    return span(span_id, start, end, parent, kind="CONSUMER", **{**own, **columns})


def wait(span_id: str, start: int, end: int | None, parent: str | None, ready: list[str], **columns: Any) -> Row:
    """A `ray.get` that came back with the results of the tasks `ready`."""
    return span(span_id, start, end, parent, **{"name": "ray.get", "ready_task_ids": ready, **columns})


def decoded(*rows: Row) -> pl.DataFrame:
    """What a decoder would give for these spans."""
    integers = {name: pl.Int64 if name in ("start", "end") else dtype for name, dtype in DECODED.items()}
    frame = pl.DataFrame([dict(row) for row in rows], schema=integers)
    return frame.with_columns(pl.col("start", "end").cast(DECODED["start"]))


def table(*rows: Row, recorded: bool = False) -> pl.DataFrame:
    """The span table of these spans; `recorded` as our hook would record them."""
    marked = [{"records_waits": True, **row} if recorded else row for row in rows]
    return assemble([decoded(*marked)])[0]


def whole(segments: pl.DataFrame) -> pl.DataFrame:
    """A path with each wait in a queue as one segment, as the walk finds it before its causes are told apart."""
    place = pl.struct("span_id", "via", pl.col("category") == "queue")
    begins = (place != place.shift()).fill_null(True) | (pl.col("category") != "queue")
    ends = {"end_ns": pl.col("end_ns").last(), "duration_ns": pl.col("duration_ns").sum()}
    others = [name for name in segments.columns if name not in ends]
    return (
        segments.group_by(begins.cum_sum().alias("part"), maintain_order=True)
        .agg(pl.col(others).first(), **ends)
        .select(segments.columns)
    )


def chain(segments: pl.DataFrame) -> list[tuple[str | None, int, int, str]]:
    """A path in short: (span, start, end, category), oldest first; the virtual root is None."""
    return list(whole(segments).select("span_id", "start_ns", "end_ns", "category").iter_rows())
