"""DOT: the span graph for graphviz, the critical path in red."""

import re
from typing import BinaryIO

from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.shapes.graph import NODE, Graph
from raytrace_analyze.text.printable import printable
from raytrace_analyze.text.units import duration_text

_STYLES = {"child": "solid", "submit": "dashed", "wait": "dotted", "depends": "bold", "attempt": "dashed"}


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it: a node a span, with its name and how long it took; the style of an edge tells its type."""
    stream.write(b'digraph spans {\nrankdir="LR";\nnode [shape="box", fontname="sans-serif"];\n')
    graph = Graph(selection)
    for row in graph.nodes(["name"]):
        took = "in flight" if row["end_ns"] is None else duration_text(row["end_ns"] - row["start_ns"])
        color = ', color="red"' if row["on_path"] else ""
        label = f'{_quoted(row["name"])[:-1]}\\n{took}"'
        stream.write(f"{_quoted(row[NODE])} [label={label}{color}];\n".encode())
    for kind, source, target in graph.edges():
        pair = f"{_quoted(source)} -> {_quoted(target)}"
        stream.write(f'{pair} [type="{kind}", style="{_STYLES[kind]}"];\n'.encode())
    stream.write(b"}\n")


def _quoted(text: str) -> str:
    """Quote an identifier: no quote or backslash of the input is left bare, and nothing that is not printed."""
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


FORMAT = OutputFormat("dot", write, re.compile(rb'digraph spans \{\nrankdir="LR";\n', re.DOTALL), times=3)
