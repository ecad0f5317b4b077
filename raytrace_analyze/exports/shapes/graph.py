"""What both graph formats write: spans with the names of their nodes, and edges between these."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.analyses.span_graph import edges, qualified_keys
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.prepared import prepare

_CHUNK = 1 << 13
"""How many edges are Python objects at a time."""
_TOGETHER = 100_000
"""How many spans are looked at together for edges, where none leads from them to others."""
_TASKS = ("task_id", "submitted_task_id", "ready_task_ids", "dependency_task_ids")
"""Columns with what edges between traces are told from."""
_ROW = "_row"

NODE = "node"
"""The column with the name of a span's node."""

_Flags = npt.NDArray[np.bool_]


class Graph:
    """The span graph of a selection. Held of all spans are a few numbers, the rest of those whose edges are told."""

    def __init__(self, selection: Selection) -> None:
        """Go through the spans once."""
        self._selection = selection
        ids: list[npt.NDArray[np.uint64]] = []
        traces: list[npt.NDArray[np.uint32]] = []
        tasks: list[pl.DataFrame] = []
        last, count = None, 0
        for part in selection.parts():
            ids.append(part.get_column("span_id").hash(seed=1).to_numpy())
            if not selection.lies_by_trace or part.is_empty():
                continue
            numbers = part.get_column("trace_id").rle_id() + np.uint32(count - (part["trace_id"][0] == last))
            last, count = part["trace_id"][-1], int(numbers[-1]) + 1
            traces.append(numbers.to_numpy())
            tasks.append(_tasks_of(part.with_columns(_trace=numbers)))
        self._shares_id = _several(np.concatenate(ids or [np.empty(0, np.uint64)]))
        self._is_linked = _linked(tasks, count)[np.concatenate(traces)] if traces else np.empty(0, bool)

    def nodes(self, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Give each span as `Selection.rows` does, ids among it, with the name of its node and `on_path`."""
        on_path = self._selection.path_span_ids()
        shares_id = pl.Series("shares_id", self._shares_id)
        for row in self._selection.rows({"trace_id", "span_id", *columns}, shares_id):
            row["on_path"] = (row["trace_id"], row["span_id"]) in on_path
            row[NODE] = f"{row['trace_id']}:{row['span_id']}" if row["shares_id"] else row["span_id"]
            yield row

    def edges(self) -> Iterator[tuple[str, str, str]]:
        """Give each edge: its type, the nodes that it leads from and to."""
        for spans in self._together():
            if spans.is_empty():  # a part of which all is elsewhere
                continue
            keys = qualified_keys(spans, pl.Series(self._shares_id[spans.get_column(_ROW).to_numpy()]))
            for kind, sources, targets in edges(prepare(spans.drop(_ROW), clock_correct=False)):
                for begin in range(0, len(sources), _CHUNK):
                    ends = (keys.gather(rows[begin : begin + _CHUNK]) for rows in (sources, targets))
                    for source, target in zip(*ends, strict=True):
                        yield kind, source, target

    def _together(self) -> Iterator[pl.DataFrame]:
        """Give the spans, no edge of which leads to others: whole traces, last those that have tasks in common."""
        waiting: list[pl.DataFrame] = []
        linked: list[pl.DataFrame] = []
        first, enough = 0, _TOGETHER
        for part in self._selection.parts():
            rows = _bare(part).with_columns(pl.int_range(first, first + part.height, dtype=pl.UInt32).alias(_ROW))
            if self._selection.lies_by_trace:
                is_linked = pl.Series(self._is_linked[first : first + part.height])
                linked.append(rows.filter(is_linked))
                rows = rows.filter(~is_linked)
            first += part.height
            waiting.append(rows)
            if self._selection.lies_by_trace and sum(each.height for each in waiting) >= enough:
                held = pl.concat(waiting, rechunk=True)
                goes_on = held.get_column("trace_id") == held.get_column("trace_id")[-1]
                yield held.filter(~goes_on)
                waiting = [held.filter(goes_on)]
                enough = max(_TOGETHER, 2 * waiting[0].height)
        for rest in (waiting, linked):
            if rest:
                yield pl.concat(rest, rechunk=True)


def _tasks_of(part: pl.DataFrame) -> pl.DataFrame:
    """Give the tasks that the spans of each trace speak of: `task` (a number made of its id), `_trace`."""
    columns = (part.select("session", "_trace", task=name) for name in _TASKS)
    told = pl.concat(each.explode("task") if each.schema["task"] == pl.List else each for each in columns)
    told = told.drop_nulls("task")
    return told.select(
        "_trace", task=pl.concat_str("session", "task", separator=" ", ignore_nulls=True).hash()
    ).unique()


def _linked(tasks: list[pl.DataFrame], count: int) -> _Flags:
    """Tell of each of some traces whether any other one speaks of the same task."""
    told = pl.concat(tasks).unique() if tasks else pl.DataFrame(schema={"_trace": pl.UInt32, "task": pl.UInt64})
    linked = np.zeros(count, bool)
    linked[told.filter(pl.col("task").is_duplicated()).get_column("_trace").unique().to_numpy()] = True
    return linked


def _several(numbers: npt.NDArray[np.uint64]) -> _Flags:
    """Tell of each number whether it is there more than once."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    same = ordered[1:] == ordered[:-1]
    found = np.zeros(numbers.size, bool)
    found[order[1:][same]] = found[order[:-1][same]] = True
    return found


def _bare(part: pl.DataFrame) -> pl.DataFrame:
    """Leave out what no edge is told from; of a span in flight its attributes say when it was last seen."""
    return part.with_columns(
        attributes=pl.when(pl.col("end").is_null()).then("attributes").otherwise(pl.lit("{}")),
        events=pl.lit("[]"),
        links=pl.lit("[]"),
        resource=pl.lit("{}"),
        source=pl.lit(None, pl.String),
        status_message=pl.lit(None, pl.String),
    )
