"""The timeline's data: spans in lanes of their process, the path through them, as packed columns."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.exports.shapes.lanes import depths, lanes
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.report.details import details
from raytrace_analyze.report.drawn_spans import DrawnSpans, drawn_spans
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.kinds import KINDS, cause_kind, kind_of
from raytrace_analyze.report.packing import pack_column
from raytrace_analyze.text.printable import printable
from raytrace_analyze.vocabulary.spans import SpanCategory

_FLAGS = ("is_error", "in_flight", "on_path", "from_events")
"""Bit by bit, from the lowest."""
_SHORT_ID = 6
Numbers = npt.NDArray[np.int64]


def timeline_data(facts: ReportFacts, most: int | None = None) -> dict[str, Any]:
    """Give what the page's script draws, ready for JSON; times are ns from the start of the job."""
    drawn = drawn_spans(facts) if most is None else drawn_spans(facts, most)
    frame, origin = drawn.frame, facts.path.start_ns
    start, end = (frame.get_column(name).to_numpy() for name in ("start_ns", "end_ns"))
    first = int(min(start.min(initial=origin), origin))
    row, groups = _rows(drawn, start, end)
    names, name = _numbered(frame.get_column("name"))
    functions, function = _numbered(frame.get_column("function"))
    flags = sum(frame.get_column(flag).to_numpy().astype(np.int64) << bit for bit, flag in enumerate(_FLAGS))
    columns: dict[str, Numbers] = {
        "start": np.diff(start, prepend=first),
        "duration": np.maximum(end - start, 0),
        "row": row,
        "name": name,
        "function": function,
        "category": _codes(frame.get_column("category"), [str(word) for word in SpanCategory]),
        "flags": np.asarray(flags, dtype=np.int64),
        "queue": frame.get_column("queue_ns").to_numpy(),
        "queueKind": _codes(frame.get_column("queue_cause").map_elements(_key, return_dtype=pl.String), _keys()),
        "spans": frame.get_column("spans").to_numpy(),
        "parent": frame.get_column("parent").to_numpy() + 1,
    }
    return {
        "count": frame.height,
        "summedUp": drawn.summed_up,
        "origin": first - origin,
        "makespan": facts.path.makespan_ns,
        "kinds": [[kind.key, kind.label] for kind in KINDS],
        "categories": [str(word) for word in SpanCategory],
        "names": names,
        "functions": functions,
        "groups": groups,
        "rows": int(row.max(initial=-1)) + 1,
        "columns": {key: pack_column(values) for key, values in columns.items()},
        "path": _path(facts, frame),
        "details": details(facts, frame),
    }


def _rows(drawn: DrawnSpans, start: Numbers, end: Numbers) -> tuple[Numbers, list[dict[str, Any]]]:
    """Give each span its row on the page, and the groups that the rows are in: nodes, and processes on them."""
    frame = drawn.frame
    process, parent = frame.get_column("process").to_numpy(), frame.get_column("parent").to_numpy()
    lane = lanes(process, start, end, parent)
    depth = depths(process, lane, start, end)
    heights = (
        pl.DataFrame({"process": process, "lane": lane, "depth": depth})
        .group_by("process", "lane")
        .agg(height=pl.col("depth").max() + 1)
    )
    order = drawn.processes.with_columns(
        node_first=pl.col("first_ns").min().over("node_id"), node_driver=pl.col("is_driver").any().over("node_id")
    ).sort(
        "node_driver", "node_first", "node_id", "is_driver", "first_ns", descending=[True, False, False, True, False]
    )
    placed = (
        order.with_row_index("place")
        .select("place", "process")
        .join(heights, on="process", how="inner")
        .sort("place", "lane")
        .with_columns(base=pl.col("height").cum_sum() - pl.col("height"))
    )
    bases = pl.DataFrame({"process": process, "lane": lane}).join(
        placed.select("process", "lane", "base"), on=["process", "lane"], how="left", maintain_order="left"
    )
    extents = placed.group_by("process").agg(first=pl.col("base").min(), rows=pl.col("height").sum())
    groups: list[dict[str, Any]] = []
    node: object = ()
    for about in order.join(extents, on="process", how="left", maintain_order="left").iter_rows(named=True):
        if about["node_id"] != node:
            node = about["node_id"]
            groups.append({"label": _node(about), "first": int(about["first"]), "rows": 0})
        groups.append({"label": _process(about), "first": int(about["first"]), "rows": int(about["rows"])})
    return bases.get_column("base").to_numpy() + depth, groups


def _node(about: dict[str, Any]) -> str:
    host = f" ({about['host']})" if about["host"] else ""
    return printable(f"node {about['node_id'][:_SHORT_ID]}{host}" if about["node_id"] else f"unknown node{host}")


def _process(about: dict[str, Any]) -> str:
    pid = "process ?" if about["pid"] is None else f"process {about['pid']}"
    if about["is_driver"]:
        return f"driver · {pid}"
    if about["actor"] is not None:
        what = short_name(about["actor_function"]).rpartition(".")[0] or "actor"
        return printable(f"actor {what} {about['actor'][:_SHORT_ID]} · {pid}")
    return pid


def _numbered(texts: pl.Series) -> tuple[list[str], Numbers]:
    """Number the different texts; 0 is none."""
    known = texts.drop_nulls().unique(maintain_order=True)
    numbers = {text: number for number, text in enumerate(known, 1)}
    codes = (
        texts.replace_strict(numbers, default=0, return_dtype=pl.Int64) if numbers else pl.zeros(len(texts), eager=True)
    )
    return ["", *(printable(short_name(text)) for text in known)], codes.fill_null(0).cast(pl.Int64).to_numpy()


def _codes(words: pl.Series, choices: list[str]) -> Numbers:
    """Give the position of each word among the choices, from 1 on; 0 for null."""
    numbers = {word: number for number, word in enumerate(choices, 1)}
    return words.replace_strict(numbers, default=0, return_dtype=pl.Int64).fill_null(0).to_numpy()


def _keys() -> list[str]:
    return [kind.key for kind in KINDS]


def _key(cause: str) -> str:
    return cause_kind(cause).key


def _path(facts: ReportFacts, frame: pl.DataFrame) -> dict[str, Any]:
    """The segments of the path: when, of which kind, in which of the drawn spans (0: none)."""
    segments = facts.path.segments
    position = np.zeros(facts.trace.structure.start.size + 1, dtype=np.int64)
    known = frame.get_column("row").fill_null(-1).to_numpy()
    position[known[known >= 0]] = np.flatnonzero(known >= 0) + 1
    keys = _keys()
    kinds = [keys.index(kind_of(row).key) for row in segments.select("category", "cause", "activity").to_dicts()]
    return {
        "count": segments.height,
        "start": pack_column(segments.get_column("start_ns").to_numpy() - facts.path.start_ns),
        "duration": pack_column(segments.get_column("duration_ns").to_numpy()),
        "kind": pack_column(np.asarray(kinds, dtype=np.int64)),
        "span": pack_column(position[facts.path.rows]),
    }
