"""All output formats."""

from pathlib import Path

from raytrace_analyze.errors import UsageError
from raytrace_analyze.exports import dot, folded, graphml, jaeger, otlp, perfetto, pftrace, speedscope
from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.files.discover import start_of
from raytrace_analyze.text.closest import did_you_mean

FORMATS: tuple[OutputFormat, ...] = (
    perfetto.FORMAT,
    pftrace.FORMAT,
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
    meant = did_you_mean(name, [one.name for one in FORMATS])
    raise UsageError(f"there is no format {name!r} to export to{meant}; there is {known}")


def is_export(path: Path, format_: OutputFormat) -> bool:
    """Tell whether a file is one that an export to this format wrote; it is looked into, its name tells nothing."""
    content = start_of(path)
    return content is not None and format_.begins.match(content) is not None
