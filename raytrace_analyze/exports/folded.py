"""Folded stacks: `outer;inner microseconds` a line, for flame graph tools (flamegraph.pl, inferno, speedscope)."""

import re
from typing import BinaryIO

from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.shapes.stacks import stacks
from raytrace_analyze.text.printable import printable

_NOT_IN_A_FRAME = re.compile(r"[;\s\x00-\x1f\x7f]+")
"""What would end a frame or a line."""


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it; a stack that has less than half a microsecond of its own is left out."""
    found = stacks(selection.skeleton.rows)
    for names, self_ns in zip(found.frames(), found.nodes.get_column("self_ns"), strict=True):
        microseconds = round(self_ns / 1000)
        if microseconds > 0:
            line = ";".join(printable(_NOT_IN_A_FRAME.sub(" ", name)) for name in names)
            stream.write(f"{line} {microseconds}\n".encode())


FORMAT = OutputFormat("folded", write, re.compile(rb"(?:[^\x00-\x1f]+ \d+\n)+[^\n]*\Z", re.DOTALL), shows_path=False)
