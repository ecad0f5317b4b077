"""GraphML: the span graph for networkx, Gephi, yEd; what a span does not have is left out."""

import re
from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.shapes.graph import NODE, Graph
from raytrace_analyze.text.printable import replaced

_TEXTS = (
    *("trace_id", "span_id", "name", "kind", "category", "status", "session", "job_id", "function"),
    *("task_id", "actor_id", "node_id", "worker_id", "host"),
)
_NUMBERS = ("attempt", "pid")
_TIMES = ("start_ns", "end_ns")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold in any way."""
_PLAIN = re.compile(r"""[^\x00-\x1f&<>"'\x7f-\U0010ffff]*""")
"""What stands in XML as it is, also between quotes."""
_AS_IT_IS = "\t\n"
"""What a reader of XML takes as it stands."""


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it: nodes as in `span_graph`, with `on_path` beside their attributes; edges with their `type`."""
    stream.write(b'<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
    for key in (*_TEXTS, *_NUMBERS, *_TIMES, "on_path"):
        kind = "boolean" if key == "on_path" else "string" if key in _TEXTS else "long"
        stream.write(f'<key id="{key}" for="node" attr.name="{key}" attr.type="{kind}"/>\n'.encode())
    stream.write(b'<key id="type" for="edge" attr.name="type" attr.type="string"/>\n<graph edgedefault="directed">\n')
    graph = Graph(selection)
    for row in graph.nodes((*_TEXTS, *_NUMBERS)):
        values = {name: row[name] for name in (*_TEXTS, *_NUMBERS, *_TIMES)}
        values["on_path"] = "true" if row["on_path"] else "false"
        data = "".join(
            f'<data key="{name}">{_xml(value)}</data>' for name, value in values.items() if value is not None
        )
        stream.write(f"<node id={_quoted(row[NODE])}>{data}</node>\n".encode())
    for kind, source, target in graph.edges():
        ends = f"source={_quoted(source)} target={_quoted(target)}"
        stream.write(f'<edge {ends}><data key="type">{kind}</data></edge>\n'.encode())
    stream.write(b"</graph>\n</graphml>\n")


def _xml(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else _referred(escape(_NO_XML.sub("\ufffd", text)))


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return _referred(quoteattr(_NO_XML.sub("\ufffd", text)))


def _referred(text: str) -> str:
    """Name characters by number that would act on a terminal, or that a reader of XML takes for others."""
    return replaced(text, lambda character: character if character in _AS_IT_IS else f"&#{ord(character)};")


FORMAT = OutputFormat(
    "graphml",
    write,
    re.compile(rb'<\?xml[^>]*>\n<graphml [^>]*>\n<key id="trace_id" for="node"', re.DOTALL),
    times=3,
)
