"""Span records: from bytes to columns, one by one or all that are laid out alike at once."""
