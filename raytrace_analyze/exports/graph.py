"""What both graph formats write: spans with the names of their nodes, and edges between these."""

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from raytrace_analyze.analyses.span_graph import edges, node_keys
from raytrace_analyze.exports.base import Selection
from raytrace_analyze.prepared import prepare

_CHUNK = 1 << 13
"""How many edges are Python objects at a time."""

NODE = "node"
"""The column with the name of a span's node."""


class Graph:
    """The span graph of a selection. Held of all spans is what edges are told from, and no more."""

    def __init__(self, selection: Selection) -> None:
        """Go through the spans once."""
        self._selection = selection
        self._bare = pl.concat(map(_bare, selection.parts()))
        self._keys = node_keys(self._bare).alias(NODE)

    def nodes(self, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Give each span as `Selection.rows` does, ids among it, with the name of its node and `on_path`."""
        on_path = self._selection.path_span_ids()
        for row in self._selection.rows({"trace_id", "span_id", *columns}, self._keys):
            row["on_path"] = (row["trace_id"], row["span_id"]) in on_path
            yield row

    def edges(self) -> Iterator[tuple[str, str, str]]:
        """Give each edge: its type, the nodes that it leads from and to."""
        for kind, sources, targets in edges(prepare(self._bare, clock_correct=False)):
            for begin in range(0, len(sources), _CHUNK):
                ends = (self._keys.gather(rows[begin : begin + _CHUNK]) for rows in (sources, targets))
                for source, target in zip(*ends, strict=True):
                    yield kind, source, target


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
