"""Decoders: one module a format, all giving the same columns."""

from raytrace_analyze.decode.formats import decode_file, decode_part, decode_small_files, find_span_files, format_of

__all__ = ["decode_file", "decode_part", "decode_small_files", "find_span_files", "format_of"]
