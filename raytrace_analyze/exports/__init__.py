"""Exports: one module an output format, all writing a selection of spans to a stream."""

from raytrace_analyze.exports.export import export

__all__ = ["export"]
