"""Span files: found by content, opened and unpacked."""
