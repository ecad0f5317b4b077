"""Chrome's JSON trace format, for Perfetto: lanes for what overlaps, and the critical path on a track of its own."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
import numpy as np
import polars as pl

from raytrace_analyze.exports.encoding import json_bytes
from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.selected.skeleton import parent_rows, span_key
from raytrace_analyze.exports.shapes.lanes import lanes
from raytrace_analyze.names.attributes import json_of

PATH_PROCESS = 0
"""The pid of the track of the critical path; the others count from 1."""

_ARGS = ("trace_id", "span_id", "parent_id", "kind", "category", "status", "status_message")
_IDS = ("job_id", "task_id", "actor_id", "node_id", "worker_id", "session")


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it; times are microseconds since the earliest start, exact to the nanosecond."""
    stream.write(b'{"displayTimeUnit":"ns","otherData":%s,"traceEvents":[\n' % json_bytes(_origin(selection)))
    separator = b""
    for event in _events(selection):
        stream.write(separator + event)
        separator = b",\n"
    stream.write(b"\n]}\n")


def _origin(selection: Selection) -> dict[str, str]:
    return {"start_time_unix_nano": str(selection.start_ns)}


def _events(selection: Selection) -> Iterator[bytes]:
    skeleton, origin = selection.skeleton, selection.start_ns
    drawn = skeleton.rows.select(
        "key", "process", began_ns="start_ns", drawn_to_ns="end_ns", lane=_lanes(skeleton.rows)
    )
    yield from _names(skeleton.processes, drawn, selection.path_name)
    for row in selection.rows((*_ARGS, *_IDS, "name", "attributes"), *drawn.select("process", "lane", "drawn_to_ns")):
        yield _slice(row, origin)
    for segment in selection.segments.iter_rows(named=True):
        yield _path_slice(segment, origin)
    yield from _flows(drawn, selection.segments, origin)


def _lanes(spans: pl.DataFrame) -> pl.Series:
    """Give the lane of each row of a skeleton."""
    order = spans.select(pl.arg_sort_by("start_ns", "end_ns", descending=[False, True], maintain_order=True))
    ordered = spans.select("key", "parent", "process", "start_ns", "end_ns")[order.to_series()]
    above = parent_rows(ordered.get_column("key"), ordered.get_column("parent"))
    process, start, end = (ordered.get_column(name).to_numpy() for name in ("process", "start_ns", "end_ns"))
    found = lanes(process, start, end, above)
    lane = np.empty_like(found)
    lane[order.to_series().to_numpy()] = found
    return pl.Series("lane", lane)


def _names(processes: pl.DataFrame, drawn: pl.DataFrame, path_name: str) -> Iterator[bytes]:
    """Name the tracks."""
    yield _meta("process_name", PATH_PROCESS, 0, {"name": "critical path"})
    yield _meta("process_sort_index", PATH_PROCESS, 0, {"sort_index": -1})
    yield _meta("thread_name", PATH_PROCESS, 1, {"name": path_name})
    for number, host, node, pid, is_driver in processes.iter_rows():
        where = host or (f"node {node[:8]}" if node else "unknown host")
        what = "driver" if is_driver else "process"
        yield _meta("process_name", number, 0, {"name": f"{what} {'?' if pid is None else pid} on {where}"})
    for number, thread in drawn.select("process", "lane").unique().sort("process", "lane").iter_rows():
        yield _meta("thread_name", number, thread, {"name": f"lane {thread}"})
        yield _meta("thread_sort_index", number, thread, {"sort_index": thread})


def _meta(name: str, pid: int, tid: int, args: dict[str, Any]) -> bytes:
    return json_bytes({"ph": "M", "name": name, "pid": pid, "tid": tid, "args": args})


def _us(ns: int) -> msgspec.Raw:
    """Write a time in microseconds with all its nanoseconds, which a float of a whole epoch would lose."""
    return msgspec.Raw(b"%d.%03d" % divmod(ns, 1000))


def _slice(row: dict[str, Any], origin: int) -> bytes:
    args: dict[str, Any] = {key: row[key] for key in (*_ARGS, *_IDS) if row[key] is not None}
    if row["end_ns"] is None:
        args["in_flight"] = True
    args["attributes"] = json_of(row["attributes"], {})
    return _encode_lossless(
        {
            "ph": "X",
            "name": row["name"],
            "cat": row["category"],
            "pid": row["process"],
            "tid": row["lane"],
            "ts": _us(row["start_ns"] - origin),
            "dur": _us(row["drawn_to_ns"] - row["start_ns"]),
            "args": args,
        }
    )


def _encode_lossless(event: dict[str, Any]) -> bytes:
    try:
        return json_bytes(event)
    except UnicodeEncodeError:  # a lone surrogate in an attribute
        event["args"]["attributes"] = {}
        return json_bytes(event)


def _path_slice(segment: dict[str, Any], origin: int) -> bytes:
    category = segment["category"]
    what = segment["function"] or segment["name"] or "(driver)"
    keys = ("category", "cause", "via", "inferred", "trace_id", "span_id", "task_id")
    return json_bytes(
        {
            "ph": "X",
            "name": what if category == "self" else f"{what}: {segment['cause'] or category}",
            "cat": "critical path",
            "pid": PATH_PROCESS,
            "tid": 1,
            "ts": _us(segment["start_ns"] - origin),
            "dur": _us(segment["duration_ns"]),
            "args": {key: segment[key] for key in keys if segment[key] is not None},
        }
    )


def _flows(drawn: pl.DataFrame, segments: pl.DataFrame, origin: int) -> Iterator[bytes]:
    """Lead from each slice on the path to the next one; a flow starts and ends inside the slice that it is bound to."""
    on_path = segments.with_columns(key=span_key())
    known = drawn.join(on_path, on="key", how="semi").unique("key", keep="first")
    steps = on_path.join(known, on="key", how="inner", maintain_order="left").filter(
        (pl.col("start_ns") >= pl.col("began_ns")) & (pl.col("start_ns") < pl.col("drawn_to_ns"))
    )
    before: dict[str, Any] | None = None
    number = 0
    for step in steps.iter_rows(named=True):
        if before is not None and before["span_id"] != step["span_id"]:
            number += 1
            yield _flow_end("s", number, before, origin)
            yield _flow_end("f", number, step, origin)
        before = step


def _flow_end(phase: str, number: int, step: dict[str, Any], origin: int) -> bytes:
    event = {
        "ph": phase,
        "id": number,
        "name": "critical path",
        "cat": "critical path",
        "pid": step["process"],
        "tid": step["lane"],
        "ts": _us(step["start_ns"] - origin),
    }
    return json_bytes(event | ({"bp": "e"} if phase == "f" else {}))


FORMAT = OutputFormat(
    "perfetto", write, re.compile(rb'\{"displayTimeUnit":"ns","otherData":\{"start_time_unix_nano"', re.DOTALL), times=2
)
