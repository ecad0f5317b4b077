"""GraphML: the span graph for networkx, Gephi, yEd; what a span does not have is left out."""

import re
from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

from raytrace_analyze.analyses.span_graph import edges, node_keys
from raytrace_analyze.exports.base import OutputFormat, Selection
from raytrace_analyze.prepared import prepare

_TEXTS = (
    *("trace_id", "span_id", "name", "kind", "category", "status", "session", "job_id", "function"),
    *("task_id", "actor_id", "node_id", "worker_id", "host"),
)
_NUMBERS = ("attempt", "pid", "start_ns", "end_ns")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold in any way."""


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it: nodes as in `span_graph`, with `on_path` beside their attributes; edges with their `type`."""
    stream.write(b'<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
    for key in (*_TEXTS, *_NUMBERS, "on_path"):
        kind = "boolean" if key == "on_path" else "long" if key in _NUMBERS else "string"
        stream.write(f'<key id="{key}" for="node" attr.name="{key}" attr.type="{kind}"/>\n'.encode())
    stream.write(b'<key id="type" for="edge" attr.name="type" attr.type="string"/>\n<graph edgedefault="directed">\n')
    spans = selection.spans()
    keys = node_keys(spans)
    on_path = selection.path_span_ids()
    for key, row in zip(keys, selection.rows(), strict=True):
        values = {name: row[name] for name in (*_TEXTS, *_NUMBERS)}
        values["on_path"] = "true" if (row["trace_id"], row["span_id"]) in on_path else "false"
        data = "".join(
            f'<data key="{name}">{_xml(value)}</data>' for name, value in values.items() if value is not None
        )
        stream.write(f"<node id={_quoted(key)}>{data}</node>\n".encode())
    for kind, sources, targets in edges(prepare(spans, clock_correct=False)):
        for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
            ends = f"source={_quoted(keys[source])} target={_quoted(keys[target])}"
            stream.write(f'<edge {ends}><data key="type">{kind}</data></edge>\n'.encode())
    stream.write(b"</graph>\n</graphml>\n")


def _xml(value: Any) -> str:
    return escape(_NO_XML.sub("\ufffd", str(value)))


def _quoted(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text))


FORMAT = OutputFormat(
    "graphml",
    write,
    re.compile(rb'<\?xml[^>]*>\n<graphml [^>]*>\n<key id="trace_id" for="node"', re.DOTALL),
    streams=False,
)
