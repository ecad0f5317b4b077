"""speedscope's file format: a flame graph of all spans by own time, and the critical path from left to right."""

import re
from collections.abc import Iterable
from typing import Any, BinaryIO

from raytrace_analyze.exports.encoding import json_bytes
from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.shapes.stacks import stacks

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it; weights are nanoseconds."""
    numbers: dict[str, int] = {}
    profiles = [_path(selection, numbers), _all_spans(selection, numbers)]
    document = {
        "$schema": SCHEMA,
        "exporter": "raytrace-analyze",
        "name": selection.path_name,
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": name} for name in numbers]},
        "profiles": profiles,
    }
    stream.write(json_bytes(document) + b"\n")


def _path(selection: Selection, numbers: dict[str, int]) -> dict[str, Any]:
    samples = []
    for segment in selection.segments.iter_rows(named=True):
        what = segment["function"] or segment["name"] or "(driver)"
        category = segment["category"]
        inner = category if segment["cause"] is None else f"{category}: {segment['cause']}"
        samples.append(_numbered([what, inner], numbers))
    return _profile("critical path", samples, selection.segments.get_column("duration_ns").to_list())


def _all_spans(selection: Selection, numbers: dict[str, int]) -> dict[str, Any]:
    found = stacks(selection.skeleton.rows)
    samples, weights = [], []
    for names, self_ns in zip(found.frames(), found.nodes.get_column("self_ns").to_list(), strict=True):
        if self_ns > 0:
            samples.append(_numbered(names, numbers))
            weights.append(self_ns)
    return _profile("all spans by own time", samples, weights)


def _numbered(names: Iterable[str], numbers: dict[str, int]) -> list[int]:
    return [numbers.setdefault(name, len(numbers)) for name in names]


def _profile(name: str, samples: list[list[int]], weights: list[int]) -> dict[str, Any]:
    return {
        "type": "sampled",
        "name": name,
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }


FORMAT = OutputFormat(
    "speedscope",
    write,
    re.compile(
        rb'\{"\$schema":"https://www\.speedscope\.app/file-format-schema\.json","exporter":"raytrace-analyze"',
        re.DOTALL,
    ),
)
