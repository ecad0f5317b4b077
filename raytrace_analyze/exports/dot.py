"""DOT: the span graph for graphviz, the critical path in red."""

import re
from typing import BinaryIO

from raytrace_analyze.analyses.span_graph import edges, node_keys
from raytrace_analyze.exports.base import OutputFormat, Selection
from raytrace_analyze.prepared import prepare
from raytrace_analyze.printable import printable
from raytrace_analyze.units import duration_text

_STYLES = {"child": "solid", "submit": "dashed", "wait": "dotted", "depends": "bold", "attempt": "dashed"}


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it: a node a span, with its name and how long it took; the style of an edge tells its type."""
    stream.write(b'digraph spans {\nrankdir="LR";\nnode [shape="box", fontname="sans-serif"];\n')
    spans = selection.spans()
    keys = node_keys(spans)
    on_path = selection.path_span_ids()
    for key, row in zip(keys, selection.rows(), strict=True):
        took = "in flight" if row["end_ns"] is None else duration_text(row["end_ns"] - row["start_ns"])
        color = ', color="red"' if (row["trace_id"], row["span_id"]) in on_path else ""
        label = f'{_quoted(row["name"])[:-1]}\\n{took}"'
        stream.write(f"{_quoted(key)} [label={label}{color}];\n".encode())
    for kind, sources, targets in edges(prepare(spans, clock_correct=False)):
        for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
            pair = f"{_quoted(keys[source])} -> {_quoted(keys[target])}"
            stream.write(f'{pair} [type="{kind}", style="{_STYLES[kind]}"];\n'.encode())
    stream.write(b"}\n")


def _quoted(text: str) -> str:
    """Quote an identifier: no quote or backslash of the input is left bare, and nothing that is not printed."""
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


FORMAT = OutputFormat("dot", write, re.compile(rb'digraph spans \{\nrankdir="LR";\n', re.DOTALL), streams=False)
