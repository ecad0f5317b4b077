"""Chrome's JSON trace format, for Perfetto: lanes for what overlaps, and the critical path on a track of its own."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
import polars as pl

from raytrace_analyze.exports.encoding import json_bytes
from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.selected.skeleton import Skeleton
from raytrace_analyze.exports.shapes.tracks import (
    PATH_LANE,
    PATH_NAME,
    PATH_PROCESS,
    arrows,
    draw,
    drawn_rows,
    lane_names,
    process_names,
    segment_details,
    segment_name,
    span_details,
)


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
    origin, drawn = selection.start_ns, draw(selection.skeleton)
    yield from _names(selection.skeleton, drawn, selection.path_name)
    for row in drawn_rows(selection, drawn):
        yield _slice(row, origin)
    for segment in selection.segments.iter_rows(named=True):
        yield _path_slice(segment, origin)
    for number, (before, step) in enumerate(arrows(drawn, selection.segments), start=1):
        yield _flow_end("s", number, before, origin)
        yield _flow_end("f", number, step, origin)


def _names(skeleton: Skeleton, drawn: pl.DataFrame, path_name: str) -> Iterator[bytes]:
    """Name the tracks."""
    yield _meta("process_name", PATH_PROCESS, 0, {"name": PATH_NAME})
    yield _meta("process_sort_index", PATH_PROCESS, 0, {"sort_index": -1})
    yield _meta("thread_name", PATH_PROCESS, PATH_LANE, {"name": path_name})
    for number, name in process_names(skeleton):
        yield _meta("process_name", number, 0, {"name": name})
    for number, lane, name in lane_names(drawn):
        yield _meta("thread_name", number, lane, {"name": name})
        yield _meta("thread_sort_index", number, lane, {"sort_index": lane})


def _meta(name: str, pid: int, tid: int, args: dict[str, Any]) -> bytes:
    return json_bytes({"ph": "M", "name": name, "pid": pid, "tid": tid, "args": args})


def _us(ns: int) -> msgspec.Raw:
    """Write a time in microseconds with all its nanoseconds, which a float of a whole epoch would lose."""
    return msgspec.Raw(b"%d.%03d" % divmod(ns, 1000))


def _slice(row: dict[str, Any], origin: int) -> bytes:
    return _encode_lossless(
        {
            "ph": "X",
            "name": row["name"],
            "cat": row["category"],
            "pid": row["process"],
            "tid": row["lane"],
            "ts": _us(row["start_ns"] - origin),
            "dur": _us(row["drawn_to_ns"] - row["start_ns"]),
            "args": span_details(row),
        }
    )


def _encode_lossless(event: dict[str, Any]) -> bytes:
    try:
        return json_bytes(event)
    except UnicodeEncodeError:  # a lone surrogate in an attribute
        event["args"]["attributes"] = {}
        return json_bytes(event)


def _path_slice(segment: dict[str, Any], origin: int) -> bytes:
    return json_bytes(
        {
            "ph": "X",
            "name": segment_name(segment),
            "cat": PATH_NAME,
            "pid": PATH_PROCESS,
            "tid": PATH_LANE,
            "ts": _us(segment["start_ns"] - origin),
            "dur": _us(segment["duration_ns"]),
            "args": segment_details(segment),
        }
    )


def _flow_end(phase: str, number: int, step: dict[str, Any], origin: int) -> bytes:
    event = {
        "ph": phase,
        "id": number,
        "name": PATH_NAME,
        "cat": PATH_NAME,
        "pid": step["process"],
        "tid": step["lane"],
        "ts": _us(step["start_ns"] - origin),
    }
    return json_bytes(event | ({"bp": "e"} if phase == "f" else {}))


FORMAT = OutputFormat(
    "perfetto", write, re.compile(rb'\{"displayTimeUnit":"ns","otherData":\{"start_time_unix_nano"', re.DOTALL), times=2
)
