"""Patterns that cost time: one module for each kind, from the facts to candidates."""
