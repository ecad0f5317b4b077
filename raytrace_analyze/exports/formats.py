"""All output formats."""

from raytrace_analyze.errors import UsageError
from raytrace_analyze.exports import dot, folded, graphml, jaeger, otlp, perfetto, speedscope
from raytrace_analyze.exports.base import OutputFormat

FORMATS: tuple[OutputFormat, ...] = (
    perfetto.FORMAT,
    otlp.FORMAT,
    jaeger.FORMAT,
    folded.FORMAT,
    speedscope.FORMAT,
    graphml.FORMAT,
    dot.FORMAT,
)


def output_format(name: str) -> OutputFormat:
    """Find an output format by its name. Raises UsageError for one that is none."""
    for one in FORMATS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in FORMATS)
    raise UsageError(f"there is no format {name!r} to export to; there is {known}")
