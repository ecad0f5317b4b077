"""What Perfetto draws: the spans of each process in lanes, and the critical path on a track of its own, with arrows."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.selected.skeleton import Skeleton, parent_rows, span_key
from raytrace_analyze.exports.shapes.lanes import lanes
from raytrace_analyze.names.attributes import json_of

PATH_PROCESS = 0
"""The number of the critical path's process; the others count from 1."""
PATH_NAME = "critical path"
"""What its process is called, and the category of its slices and arrows."""
PATH_LANE = 1

_ARGS = ("trace_id", "span_id", "parent_id", "kind", "category", "status", "status_message")
_IDS = ("job_id", "task_id", "actor_id", "node_id", "worker_id", "session")
_OF_SEGMENT = ("category", "cause", "via", "inferred", "trace_id", "span_id", "task_id")


def draw(skeleton: Skeleton, *, apart: bool = False) -> pl.DataFrame:
    """Give where the spans of a skeleton are drawn, row by row: `key`, `process`, `began_ns`, `drawn_to_ns`, `lane`.

    In a lane, spans nest or follow each other. With `apart`, no span starts in a lane just when another one ended that
    is not its sibling: so a reader that knows no order but that of times cannot mistake one for inside the other.
    """
    spans = skeleton.rows
    order = spans.select(pl.arg_sort_by("start_ns", "end_ns", descending=[False, True], maintain_order=True))
    ordered = spans.select("key", "parent", "process", "start_ns", "end_ns")[order.to_series()]
    above = parent_rows(ordered.get_column("key"), ordered.get_column("parent"))
    process, start, end = (ordered.get_column(name).to_numpy() for name in ("process", "start_ns", "end_ns"))
    found = pl.Series("lane", lanes(process, start, end, above, gap=int(apart)))
    lane = found.gather(order.to_series().arg_sort())
    return spans.select("key", "process", began_ns="start_ns", drawn_to_ns="end_ns", lane=lane)


def process_names(skeleton: Skeleton) -> Iterator[tuple[int, str]]:
    """Give the number and the name of each process, that of the path aside."""
    for number, host, node, pid, is_driver in skeleton.processes.iter_rows():
        where = host or (f"node {node[:8]}" if node else "unknown host")
        what = "driver" if is_driver else "process"
        yield number, f"{what} {'?' if pid is None else pid} on {where}"


def lane_names(drawn: pl.DataFrame) -> Iterator[tuple[int, int, str]]:
    """Give the process, the number and the name of each lane."""
    for process, lane in drawn.select("process", "lane").unique().sort("process", "lane").iter_rows():
        yield process, lane, f"lane {lane}"


def drawn_rows(selection: Selection, drawn: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Give each span with what is shown of it: `name`, `category`, `start_ns`, `drawn_to_ns`, `process`, `lane`, ..."""
    return selection.rows((*_ARGS, *_IDS, "name", "attributes"), *drawn.select("process", "lane", "drawn_to_ns"))


def span_details(row: dict[str, Any]) -> dict[str, Any]:
    """Give what stands beside a span; its `attributes` are an object."""
    details: dict[str, Any] = {key: row[key] for key in (*_ARGS, *_IDS) if row[key] is not None}
    if row["end_ns"] is None:
        details["in_flight"] = True
    return details | {"attributes": json_of(row["attributes"], {})}


def segment_name(segment: dict[str, Any]) -> str:
    """Name a segment of the path."""
    category = segment["category"]
    what = segment["function"] or segment["name"] or "(driver)"
    return what if category == "self" else f"{what}: {segment['cause'] or category}"


def segment_details(segment: dict[str, Any]) -> dict[str, Any]:
    """Give what stands beside a segment of the path."""
    return {key: segment[key] for key in _OF_SEGMENT if segment[key] is not None}


def arrows(drawn: pl.DataFrame, segments: pl.DataFrame) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Lead from each span on the path to the next one: pairs of `process`, `lane` and `start_ns`, inside the spans."""
    on_path = segments.with_columns(key=span_key())
    known = drawn.join(on_path, on="key", how="semi").unique("key", keep="first")
    steps = on_path.join(known, on="key", how="inner", maintain_order="left").filter(
        (pl.col("start_ns") >= pl.col("began_ns")) & (pl.col("start_ns") < pl.col("drawn_to_ns"))
    )
    before: dict[str, Any] | None = None
    for step in steps.iter_rows(named=True):
        if before is not None and before["span_id"] != step["span_id"]:
            yield before, step
        before = step
