"""Spans sent to a collector instead of into a file."""
